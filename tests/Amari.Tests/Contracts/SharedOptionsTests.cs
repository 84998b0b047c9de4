using System.Reflection;
using Amari.Native;
using Amari.Tests.Optimizers;
using static Amari.Tests.Optimizers.Trajectory;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>The options that the base sees to, of every optimizer that has them, each by itself and with the others.</summary>
public sealed class SharedOptionsTests
{
    private const double Decay = OptimizerCases.Decay;

    /// <summary>Those whose step is that of the plain method, masked and decayed next to it; of the others a direction has the decay in
    /// it, or an average of the weights.</summary>
    public static TheoryData<string> Separate =>
        [.. OptimizerCases.Methods.Where(n => n.Data is not (nameof(Adam) or nameof(Lamb) or nameof(ScheduleFree)))];

    private static double[] Run(
        GroupedOptions options,
        ScalarType type = ScalarType.Float64,
        bool fused = true,
        int steps = 12,
        long[][]? shapes = null
    )
    {
        var p = Problem.Parameters(shapes ?? Shapes, type);
        using var o = OptimizerCases.Of(options, p, fused);
        Problem.Steps(o, p, 0, steps);
        return Problem.Values(p);
    }

    [Theory, MemberData(nameof(OptimizerCases.Methods), MemberType = typeof(OptimizerCases))]
    public void Each_changes_the_trajectory(string name)
    {
        long[][] shapes =
        [
            [60, 55], // so many that a rounded momentum turns some sign of Lion's
            [7],
        ];
        foreach (bool fused in new[] { true, false })
        {
            List<GroupedOptions> all =
            [
                OptimizerCases.Start(name),
                OptimizerCases.Start(name, ("WeightDecay", 0.5)),
                OptimizerCases.Start(name, ("Maximize", true)),
                OptimizerCases.Start(name, ("StateFormat", StateFormat.BFloat16)),
                OptimizerCases.Start(name, ("StateFormat", StateFormat.BlockwiseInt8)),
            ];
            if (name != nameof(Adam))
                all.Add(OptimizerCases.Start(name, ("CautiousDecay", true)));
            if (all[0] is MomentumOptions)
                all.Add(OptimizerCases.Start(name, ("Cautious", true)));
            if (all[0] is MomentumOptions && name != nameof(Adam))
                all.Add(OptimizerCases.Start(name, ("Cautious", true), ("CautiousDecay", true)));
            AllDiffer([.. all.Select(o => Run(o, ScalarType.Float32, fused, 4, shapes))]);
        }
    }

    /// <summary>The plain step is that of an optimizer beside, which has the same gradients and so the same moments, from the same
    /// weights.</summary>
    [Theory, MemberData(nameof(Separate))]
    public void Masks_and_decay_follow_the_papers_formulas(string name)
    {
        foreach (bool cautious in new[] { false, true })
        foreach (bool cautiousDecay in new[] { false, true })
        {
            Parameter[] p = Problem.Parameters(Shapes, ScalarType.Float64),
                q = Problem.Parameters(Shapes, ScalarType.Float64);
            var options = OptimizerCases.Start(name, ("Cautious", cautious), ("CautiousDecay", cautiousDecay));
            using var o = OptimizerCases.Of(options, p);
            using var plain = OptimizerCases.Of(
                OptimizerCases.With(options, ("WeightDecay", 0.0), ("Cautious", false), ("CautiousDecay", false)),
                q
            );
            for (int step = 0; step < 12; step++)
            {
                using var off = no_grad();
                foreach (var (from, to) in p.Zip(q))
                    to.copy_(from);
                double[][] before = [.. q.Select(x => x.Elements<double>())];
                Problem.SetGradients(p, step);
                Problem.SetGradients(q, step);
                o.step();
                plain.step();
                foreach (var (i, w) in before.Index())
                {
                    double[] g = q[i].grad!.Elements<double>(),
                        u = [.. w.Zip(q[i].Elements<double>(), (a, b) => a - b)];
                    bool starts = name == nameof(Soap) && step == 0; // makes its basis, and moves nothing
                    double share = u.Zip(g).Count(x => x.First * x.Second > 0) / (double)u.Length;
                    for (int k = 0; k < u.Length; k++)
                    {
                        double move = !cautious ? u[k]
                            : u[k] * g[k] > 0 ? u[k] / Math.Max(1e-3, share)
                            : 0,
                            keep = starts || (cautiousDecay && move * w[k] < 0) ? 1 : 1 - 0.05 * Decay;
                        w[k] = name == nameof(Soap) ? keep * (w[k] - move) : keep * w[k] - move;
                    }
                    Near(w, p[i].Elements<double>(), 1e-12);
                }
            }
        }
    }

    [Theory, InlineData(nameof(Lamb)), InlineData(nameof(ScheduleFree))]
    public void A_decay_in_the_direction_is_masked_by_its_rest(string name)
    {
        double[] w = [0.5, -0.5, 0.25, -1];
        double[] g = [1, 1, -2, -3];
        using var p = nn.Parameter(tensor(w));
        p.grad = tensor(g);
        var options = OptimizerCases.Start(name, ("DecoupledDecay", false), ("CautiousDecay", true), ("Epsilon", 1e-300));
        using var o = OptimizerCases.Of(options, [p]);
        o.step();
        double[] u = [.. g.Select((x, i) => Math.Sign(x) + (x * w[i] >= 0 ? Decay * w[i] : 0))]; // Adam's first step has the length 1
        double rate = 0.05 * (name == nameof(Lamb) ? Math.Sqrt(w.Sum(x => x * x) / u.Sum(x => x * x)) : 1);
        Near([.. w.Select((x, i) => x - rate * u[i])], Problem.Values([p]), 1e-12);
    }

    [Fact]
    public void A_decay_in_the_gradient_cannot_be_cautious()
    {
        GroupedOptions[] refused = [new Adam.Options { CautiousDecay = true }, new Sgd.Options { CautiousDecay = true }];
        foreach (var options in refused)
            Assert.Contains("CautiousDecay is True; it must be False", Assert.Throws<ArgumentException>(() => Run(options)).Message);
        Run(new Sgd.Options { CautiousDecay = true, DecoupledDecay = true });
    }

    [Theory, MemberData(nameof(OptimizerCases.Methods), MemberType = typeof(OptimizerCases))]
    public void Maximize_is_a_descent_of_the_negated_objective(string name)
    {
        double[] Go(bool maximize)
        {
            var p = Problem.Parameters(Shapes, ScalarType.Float64);
            using var o = OptimizerCases.Of(OptimizerCases.Start(name, ("Maximize", maximize)), p);
            for (int step = 0; step < 6; step++)
            {
                Problem.SetGradients(p, step);
                foreach (var x in p)
                    x.grad = maximize ? x.grad!.neg() : x.grad;
                OptimizerCases.Measure(o, maximize ? -1 : 1);
                o.step();
            }
            return Problem.Values(p);
        }
        Assert.Equal(Go(false), Go(true));
    }

    /// <summary>The first step is that of moments in full, which are then rounded; those to come are near.</summary>
    [Theory, MemberData(nameof(OptimizerCases.Methods), MemberType = typeof(OptimizerCases))]
    public void Moments_in_few_bits_are_rounded_between_steps_alone(string name)
    {
        foreach (var format in new[] { StateFormat.BFloat16, StateFormat.BlockwiseInt8 })
        foreach (bool fused in new[] { true, false })
        {
            double[] Go(StateFormat kept, int steps) =>
                Run(OptimizerCases.Start(name, ("StateFormat", kept)), ScalarType.Float32, fused, steps);
            if (name is not (nameof(Sophia) or nameof(AdaHessian))) // the curvature is measured, and rounded, before
                Assert.Equal(Go(StateFormat.Full, 1), Go(format, 1));
            double[] start = Problem.Values(Problem.Parameters(Shapes)),
                full = Go(StateFormat.Full, 12),
                small = Go(format, 12);
            double Moved(double[] x, double[] from) => Math.Sqrt(x.Zip(from).Sum(v => (v.First - v.Second) * (v.First - v.Second)));
            Assert.InRange(Moved(small, full) / Moved(full, start), 0, name is nameof(Lion) or nameof(Sophia) ? 0.5 : 0.2);
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Methods), MemberType = typeof(OptimizerCases))]
    public void Every_moment_takes_the_bytes_of_its_format(string name)
    {
        long Bytes(StateFormat format)
        {
            var p = Problem.Parameters([
                [64, 2],
            ]);
            using var o = OptimizerCases.Of(OptimizerCases.Start(name, ("StateFormat", format)), p);
            Problem.Steps(o, p, 0, 1);
            return o.StateBytes;
        }
        var state = typeof(Optimizer).Assembly.GetType($"Amari.{name}+State")!;
        bool adafactor = name == nameof(Adafactor); // has one of vectors alone
        var marked = state.GetProperties().Where(p => p.IsDefined(typeof(MomentAttribute)));
        var idle = name switch
        {
            nameof(Muon) => ["SecondMoment"], // AdamW's
            nameof(Adafactor) => ["Variance"],
            _ => Array.Empty<string>(),
        };
        int moments = marked.Count(m => !idle.Contains(m.Name));
        long full = Bytes(StateFormat.Full);
        Assert.Equal(full - moments * 2 * 128, Bytes(StateFormat.BFloat16));
        Assert.Equal(full - moments * (3 * 128 - 2 * sizeof(float)), Bytes(StateFormat.BlockwiseInt8));
        Assert.Equal(adafactor, moments == 0);
    }

    /// <summary>A state that begins a moment late keeps it in the format of that moment.</summary>
    [Fact]
    public void A_later_momentum_takes_the_format_of_that_moment()
    {
        var p = Problem.Parameters(Shapes);
        using var o = new Sgd([ParameterGroup.Of(p, new Sgd.Options { Momentum = 0 })]);
        Problem.Steps(o, p, 0, 2);
        o.Groups[0].Options = o.Groups[0].Options with { Momentum = 0.9, StateFormat = StateFormat.BlockwiseInt8 };
        Problem.Steps(o, p, 2, 4);
        Assert.Equal(37 + 2 * sizeof(float), o.StateBytes);
        var q = p.Select(x => nn.Parameter(x.detach().clone())).ToArray();
        using var other = new Sgd([ParameterGroup.Of(q, new Sgd.Options())]);
        other.Restore(o.Snapshot());
        Problem.Steps(o, p, 4, 6);
        Problem.Steps(other, q, 4, 6);
        Assert.Equal(Problem.Values(p), Problem.Values(q));
    }
}
