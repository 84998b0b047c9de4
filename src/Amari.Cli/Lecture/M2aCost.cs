using System.Globalization;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M2a: the cost of a step as a function of the number of parameters: Newton's dense Hessian, Newton-CG, K-FAC.</summary>
/// <remarks><code>
/// one layer n x n with a softmax, d = n² parameters, 2 n examples
/// Newton      d² numbers, d Hessian-vector products, d³/3 multiplications to solve
/// Newton-CG   five vectors of d (g, p, r, d, Hd), a few products
/// K-FAC       two matrices n x n, their inverses and the momentum, five times d numbers; inverses: n³ = d^1.5
/// </code>
/// Float32; the solve in float64 and to larger d, where it is cubic. Times are medians of processor time, which other programs do not
/// affect.</remarks>
internal sealed class M2aCost() : LectureItem("M2a", "The cost of Newton's method")
{
    private const int Repeats = 5,
        Solved = 3,
        Arrays = 5, // of d numbers, both for Newton-CG and for K-FAC
        WarmUp = 24;
    private static readonly int[] Sizes = [26, 31, 38, 45],
        Larger = [64, 96, 144, 216, 320],
        Dimensions = [800, 1150, 1600, 2200, 3000];

    private sealed record Cost(
        long Dimension,
        double Newton,
        double NewtonCg,
        double Kfac,
        double NewtonBytes,
        double CgBytes,
        double KfacBytes
    );

    public override LectureResult Run(int seed)
    {
        // Longer than 60 lines: one experiment from top to bottom, its table, its checks and its figures.
        for (int i = 0; i < 2; i++)
            Measure(WarmUp, true); // compiles code on first use
        var costs = Sizes.Select(n => Measure(n, true)).ToList();
        var all = costs.Concat(Larger.Select(n => Measure(n, false))).ToList();
        var solves = Solves();
        static double Exponent(List<Cost> costs, Func<Cost, double> of) =>
            Fit.Exponent([.. costs.Select(c => (double)c.Dimension)], [.. costs.Select(of)]);
        double solve = Fit.Exponent([.. solves.Select(s => (double)s.Dimension)], [.. solves.Select(s => s.Seconds)]),
            newton = Exponent(costs, c => c.Newton),
            cg = Exponent(all, c => c.NewtonCg),
            kfac = Exponent(all, c => c.Kfac);
        double newtonMemory = Exponent(costs, c => c.NewtonBytes),
            cgMemory = Exponent(all, c => c.CgBytes),
            kfacMemory = Exponent(all, c => c.KfacBytes);

        const double Milliseconds = 1e3,
            Megabytes = 1e-6;
        var table = new LectureTable(
            "d",
            "Newton step, ms",
            "Newton-CG step, ms",
            "K-FAC step, ms",
            "Newton, MB",
            "Newton-CG, MB",
            "K-FAC, MB"
        );
        foreach (var c in all)
            table.Add(
                c.Dimension,
                double.IsNaN(c.Newton) ? "" : Milliseconds * c.Newton,
                Milliseconds * c.NewtonCg,
                Milliseconds * c.Kfac,
                double.IsNaN(c.NewtonBytes) ? "" : Megabytes * c.NewtonBytes,
                Megabytes * c.CgBytes,
                Megabytes * c.KfacBytes
            );
        table.Add("exponent", newton, cg, kfac, newtonMemory, cgMemory, kfacMemory);
        var solved = new LectureTable("d", "solve only, ms", "multiplications, d³/3");
        foreach (var (d, seconds) in solves)
            solved.Add(d, Milliseconds * seconds, Math.Pow(d, 3) / 3);
        solved.Add("exponent", solve, 3.0);
        var last = costs[^1];
        double vector = sizeof(float) * (double)all[^1].Dimension;
        Check[] checks =
        [
            Check.Near("exponent in d of the Hessian's memory", newtonMemory, 2, 1e-9),
            Check.Near("exponent in d of Newton-CG's memory", cgMemory, 1, 1e-9),
            Check.Near("exponent in d of K-FAC's memory", kfacMemory, 1, 0.1),
            Check.Near($"K-FAC's memory over that of d numbers, d = {all[^1].Dimension}", all[^1].KfacBytes / vector, Arrays, 0.1),
            Check.Near("exponent in d of the time to solve", solve, 3, 0.5) with
            {
                Timed = true,
            },
            Check.AtMost("exponent in d of K-FAC's time", kfac, 2) with
            {
                Timed = true,
            },
            Check.AtLeast($"Newton's step over K-FAC's at d = {last.Dimension}", last.Newton / last.Kfac, 10) with
            {
                Timed = true,
            },
            Check.AtLeast($"Newton's step over Newton-CG's at d = {last.Dimension}", last.Newton / last.NewtonCg, 5) with
            {
                Timed = true,
            },
        ];

        var time = Figure.Panel("Time of a step", "parameters d (log scale)", "milliseconds (log scale)");
        var memory = Figure.Panel("Memory of curvature", "parameters d (log scale)", "megabytes (log scale)");
        static string Legend(string name, double exponent) => FormattableString.Invariant($"{name}: d^{exponent:F1}");
        void Series(Plot plot, Func<Cost, double> of, double exponent, string color, string name, float width = 2.8f) =>
            Figure
                .Line(
                    plot,
                    all.Select(c => Math.Log10(c.Dimension)),
                    all.Select(c => Math.Log10(of(c))),
                    color,
                    Legend(name, exponent),
                    width
                )
                .MarkerSize = 9;
        Series(time, c => Milliseconds * c.Newton, newton, Palette.Of("newton"), "Newton");
        Figure
            .Line(
                time,
                solves.Select(s => Math.Log10(s.Dimension)),
                solves.Select(s => Math.Log10(Milliseconds * s.Seconds)),
                Palette.Of("natural-gradient"),
                Legend("its solve only", solve)
            )
            .MarkerSize = 9;
        Series(time, c => Milliseconds * c.NewtonCg, cg, Palette.Of("newton-cg"), "Newton-CG");
        Series(time, c => Milliseconds * c.Kfac, kfac, Palette.Of("kfac"), "K-FAC");
        Series(memory, c => Megabytes * c.NewtonBytes, newtonMemory, Palette.Of("newton"), "Newton");
        Series(memory, c => Megabytes * c.KfacBytes, kfacMemory, Palette.Of("kfac"), "K-FAC", 8);
        Series(memory, c => Megabytes * c.CgBytes, cgMemory, Palette.Of("newton-cg"), "Newton-CG");
        double[] times =
        [
            .. all.SelectMany(c => new[] { c.Newton, c.NewtonCg, c.Kfac })
                .Where(double.IsFinite)
                .Concat(solves.Select(s => s.Seconds))
                .Select(s => Milliseconds * s),
        ];
        foreach (var plot in new[] { time, memory })
        {
            Figure.Logarithmic(plot.Axes.Bottom, 0.8 * all[0].Dimension, 1.2 * all[^1].Dimension);
            Figure.Legend(plot, corner: Alignment.LowerRight);
        }
        Figure.Logarithmic(time.Axes.Left, times.Min() / 20, times.Max() * 2);
        Figure.Logarithmic(memory.Axes.Left, Megabytes * costs[0].CgBytes / 2, Megabytes * last.NewtonBytes * 2);
        return new(
            [table, solved],
            checks,
            [new("M2a-cost", time, memory)],
            string.Create(
                CultureInfo.InvariantCulture,
                $"At {last.Dimension:N0} parameters a Newton step costs {Number.Short(last.Newton / last.Kfac, 2)} times a K-FAC step. Its "
                    + $"solve grows as d^{solve:F1} and its matrix as d^{newtonMemory:F0}: "
                    + $"{4e-9 * Math.Pow(all[^1].Dimension, 2):F0} GB at "
                    + $"{all[^1].Dimension:N0}, where a K-FAC step takes {Milliseconds * all[^1].Kfac:F0} ms."
            )
        );
    }

    /// <summary>Measures a step of each method; NaN for Newton unless <paramref name="dense"/>.</summary>
    private static Cost Measure(int n, bool dense)
    {
        using var model = nn.Sequential(("fc", nn.Linear(n, n, hasBias: false)));
        Tensor x = randn(2 * n, n),
            y = randint(n, 2 * n, dtype: ScalarType.Int64);
        var likelihood = new Categorical();
        var layout = ParameterLayout.Of(model);
        var start = layout.Read();
        using var matrix = dense ? new Hessian(new Objective(model, likelihood, [(x, y)])).ToDense() : null;
        using var newton = dense ? new Newton(model, likelihood) : null;
        using var cg = new NewtonCg(model, likelihood);
        double newtonTime = dense ? Median(3, () => newton!.StepOnBatch(x, y)) : double.NaN,
            cgTime = Median(Repeats, () => cg.StepOnBatch(x, y));
        using var kfac = new Kfac(model, new() { Curvature = new() { Refresh = new() { InverseInterval = 1 } } }, likelihood);
        double kfacTime = Median(
            Repeats,
            () =>
            {
                kfac.zero_grad();
                likelihood.Loss(model.call(x), y).backward();
                kfac.step();
            }
        );
        return new(
            layout.Dimension,
            newtonTime,
            cgTime,
            kfacTime,
            matrix is null ? double.NaN : matrix.numel() * matrix.ElementSize,
            Arrays * start.numel() * start.ElementSize,
            kfac.StateBytes
        );

        double Median(int repeats, Action action) =>
            M2aCost.Median(
                Enumerable
                    .Range(0, repeats)
                    .Select(_ =>
                    {
                        layout.Write(start);
                        return Seconds(action);
                    })
            );
    }

    /// <summary>Cholesky and two triangular solves, as in Newton's step. Sizes alternate, so that a slow period of the machine affects all
    /// of them.</summary>
    private static List<(int Dimension, double Seconds)> Solves()
    {
        using var scope = NewDisposeScope();
        var systems = Dimensions.Select(d => (Matrix: Definite(d), Right: randn(d, 1, dtype: ScalarType.Float64))).ToList();
        var seconds = Dimensions.Select(_ => new List<double>()).ToList();
        for (int i = 0; i < Solved; i++)
            foreach (var (s, system) in systems.Index())
                seconds[s].Add(Seconds(() => system.Right.cholesky_solve(linalg.cholesky(system.Matrix))));
        return [.. Dimensions.Zip(seconds.Select(Median))];

        static Tensor Definite(int d)
        {
            var random = randn(d, d, dtype: ScalarType.Float64);
            random = random + random.t();
            random.diagonal().add_(4 * Math.Sqrt(d)); // the eigenvalues of the random part are within 2 √(2d) of 0
            return random;
        }
    }

    private static double Seconds(Action action)
    {
        using var scope = NewDisposeScope();
        var before = Environment.CpuUsage.TotalTime;
        action();
        return (Environment.CpuUsage.TotalTime - before).TotalSeconds;
    }

    private static double Median(IEnumerable<double> values) =>
        values.Order().ToList() is var sorted ? sorted[(sorted.Count - 1) / 2] : double.NaN;
}
