using System.Diagnostics;
using System.Text.Json;
using Amari.Curvature;
using Amari.Jets;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Solvers;
using Amari.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>One network's times for Poisson's equation in two dimensions.</summary>
/// <param name="Network">Its layers.</param>
/// <param name="Parameters">d.</param>
/// <param name="Residuals">n.</param>
/// <param name="NestedMilliseconds">A gradient of the loss by nested autograd: u, ∇u and Δu by backward passes with graphs, and one more
/// for the parameters.</param>
/// <param name="Linearization">Ratio to it, of the same round: all that products with J need.</param>
/// <param name="Jacobian">Ratio to it: the linearization, and J.</param>
/// <param name="GramOfJacobian">J J' by a symmetric product over a general one, of the same J.</param>
/// <param name="Gram">Ratio to it: the linearization, and J J' without J.</param>
internal sealed record LeastSquaresCase(
    string Network,
    long Parameters,
    long Residuals,
    Quartiles NestedMilliseconds,
    Quartiles Linearization,
    Quartiles Jacobian,
    Quartiles Gram,
    Quartiles GramOfJacobian
);

/// <summary>Memory of a step of Levenberg-Marquardt whose matrices would not fit.</summary>
/// <param name="Parameters">d.</param>
/// <param name="Residuals">n.</param>
/// <param name="JacobianBytes">What J would take.</param>
/// <param name="Solver">What was chosen.</param>
/// <param name="BytesBefore">Resident memory of the process before the step.</param>
/// <param name="PeakBytes">The most of the process so far.</param>
internal sealed record LeastSquaresMemory(
    long Parameters,
    long Residuals,
    long JacobianBytes,
    LinearSolverKind Solver,
    long BytesBefore,
    long PeakBytes
);

/// <summary>Measures what a linearization costs next to a gradient by nested autograd, J J' by symmetric products, and the peak memory of a
/// step with 10,000 residuals and 10,000 parameters in float64: in one process, in turns, quartiles of ratios within a round.</summary>
internal static class LeastSquaresCost
{
    private const int Interior = 900,
        Boundary = 120,
        ManyRows = 10_000;
    private const double Goal = 2.5,
        MemoryGoal = 1 << 30;
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    /// <summary>Measures all, prints the table, and writes the file if one is named.</summary>
    public static void Run(int rounds, OutputTarget? target)
    {
        manual_seed(0);
        var memory = MemoryOfAStep(); // first: the peak is that of the process
        Console.WriteLine(
            FormattableString.Invariant(
                $"{memory.Residuals:N0} residuals, {memory.Parameters:N0} parameters, float64 (J: {memory.JacobianBytes / 1e6:F0} MB): "
            )
                + FormattableString.Invariant(
                    $"{memory.Solver}, peak {memory.PeakBytes / 1e6:F0} MB of the process, {memory.BytesBefore / 1e6:F0} before, target "
                )
                + FormattableString.Invariant($"{MemoryGoal / 1e6:F0} MB: {(memory.PeakBytes <= MemoryGoal ? "reached" : "missed")}")
        );
        Console.WriteLine(
            FormattableString.Invariant($"{get_num_threads()} threads, {rounds} rounds: median, quartiles; nested gradient in ms, ")
                + "others relative to it"
        );
        Console.WriteLine(
            $"{"network", -10} {"d", 6} {"n", 6} {"nested gradient", 20} {"linearization", 20} {"with J", 20} {"with J J'", 20} "
                + $"{"symmetric/general", 20}"
        );
        List<LeastSquaresCase> cases = [];
        foreach (
            int[] hidden in (int[][])
                [
                    [32],
                    [32, 32],
                    [64, 64],
                ]
        )
        {
            var c = Measure(hidden, rounds);
            cases.Add(c);
            Console.WriteLine(
                $"{c.Network, -10} {c.Parameters, 6} {c.Residuals, 6} {Text(c.NestedMilliseconds), 20} {Text(c.Linearization), 20} "
                    + $"{Text(c.Jacobian), 20} {Text(c.Gram), 20} {Text(c.GramOfJacobian), 20}   "
                    + $"{(c.Linearization.Median <= Goal ? "reached" : "missed")}"
            );
        }
        target?.Write(
            JsonSerializer.Serialize(
                new
                {
                    threads = get_num_threads(),
                    memory,
                    cases,
                },
                Json
            )
        );

        static string Text(Quartiles q) => FormattableString.Invariant($"{q.Median:F2} ({q.Lower:F2}-{q.Upper:F2})");
    }

    private static LeastSquaresCase Measure(int[] hidden, int rounds)
    {
        using var scope = NewDisposeScope();
        using var network = Network(2, hidden);
        using var model = Poisson(network, 2);
        Tensor interior = rand(Interior, 2, dtype: ScalarType.Float64),
            boundary = rand(Boundary, 2, dtype: ScalarType.Float64);
        boundary.select(1, 0).round_();
        var residuals = new PdeResiduals(model, model.Rows(interior, boundary));
        using var at = residuals.Linearize();
        using var j = at.Jacobian();
        Action[] work =
        [
            () => NestedGradient(network, interior, boundary),
            () => residuals.Linearize().Dispose(),
            () => Linearized(l => l.Jacobian()),
            () => Linearized(l => l.Gram.ToDense()),
            () => SymmetricProduct.Of(j, j.T).Dispose(),
            () => j.mm(j.T).Dispose(),
        ];
        var times = work.Select(_ => new List<double>()).ToArray();
        for (int round = -3; round < rounds; round++)
        for (int i = 0; i < work.Length; i++)
        {
            using var inner = NewDisposeScope();
            long start = Stopwatch.GetTimestamp();
            work[i]();
            if (round >= 0)
                times[i].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return new(
            $"2-{string.Join('-', hidden)}-1",
            at.Columns,
            at.Rows,
            Quartiles.Of(times[0]),
            Ratio(1, 0),
            Ratio(2, 0),
            Ratio(3, 0),
            Ratio(4, 5)
        );

        Quartiles Ratio(int of, int to) => Quartiles.Of(times[of].Zip(times[to], (a, b) => a / b));

        void Linearized(Func<Linearization, Tensor> matrix)
        {
            using var l = residuals.Linearize();
            matrix(l).Dispose();
        }
    }

    /// <summary>Backward passes through backward passes, as without jets.</summary>
    private static void NestedGradient(nn.Module<Tensor, Tensor> network, Tensor interior, Tensor boundary)
    {
        network.zero_grad();
        using var x = interior.detach().requires_grad_();
        var first = ReverseMode.Derivative([network.call(x).sum()], [x], createGraph: true)[0]!;
        var laplacian = Enumerable
            .Range(0, 2)
            .Select(i => ReverseMode.Derivative([first.select(1, i).sum()], [x], createGraph: true)[0]!.select(1, i))
            .Aggregate((a, b) => a + b);
        var squares = (laplacian + Source(interior)).square().sum() + network.call(boundary).square().sum();
        (squares / (2 * (Interior + Boundary))).backward();
    }

    private static LeastSquaresMemory MemoryOfAStep()
    {
        const int Dimensions = 5;
        using var scope = NewDisposeScope();
        using var network = Network(Dimensions, [64, 64, 48, 48]);
        using var model = Poisson(network, Dimensions);
        var interior = rand(ManyRows * 4 / 5, Dimensions, dtype: ScalarType.Float64);
        var boundary = rand(ManyRows / 5, Dimensions, dtype: ScalarType.Float64);
        var residuals = new PdeResiduals(model, model.Rows(interior, boundary));
        using var optimizer = new LevenbergMarquardt(
            residuals,
            new() { Solver = new LinearSolver.Automatic { Otherwise = new() { MaxIterations = 10 } } }
        );
        long before = Memory(p => p.WorkingSet64);
        var report = optimizer.StepOnResiduals();
        long parameters = residuals.Parameters.Dimension;
        return new(
            parameters,
            ManyRows,
            ManyRows * parameters * sizeof(double),
            report.Solver!.Value,
            before,
            Memory(p => p.PeakWorkingSet64)
        );

        static long Memory(Func<Process, long> read)
        {
            using var process = Process.GetCurrentProcess();
            return read(process);
        }
    }

    private static nn.Module<Tensor, Tensor> Network(int inputs, int[] hidden)
    {
        int[] sizes = [inputs, .. hidden];
        var layers = hidden.SelectMany(
            (units, i) => (nn.Module<Tensor, Tensor>[])[nn.Linear(sizes[i], units, dtype: ScalarType.Float64), nn.Tanh()]
        );
        return nn.Sequential([.. layers, nn.Linear(hidden[^1], 1, dtype: ScalarType.Float64)]);
    }

    private static PdeModel Poisson(nn.Module<Tensor, Tensor> network, int dimensions) =>
        new(
            new JetNetwork(network),
            new("interior", JetSpec.Laplacian(dimensions), (u, x) => u.Laplacian.reshape(-1) + Source(x)),
            new("boundary", JetSpec.Value(dimensions), (u, _) => u.Value)
        );

    private static Tensor Source(Tensor x) => Math.PI * Math.PI * (Math.PI * x).sin().prod(1);
}
