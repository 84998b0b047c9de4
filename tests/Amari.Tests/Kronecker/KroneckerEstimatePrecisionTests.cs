using Amari.Kronecker;
using Amari.Solvers;
using Amari.Tests.KfacOptimizer;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Factors and inverses in bfloat16, and inverses by iteration.</summary>
public sealed class KroneckerEstimatePrecisionTests() : KfacTest(51)
{
    [Fact]
    public void Bfloat16_factors_are_near_the_full_ones()
    {
        var (x, y) = (randn(64, 4), randint(0, 3, [64]));
        Dictionary<string, Tensor> Factors(MatmulPrecision precision)
        {
            manual_seed(53);
            var model = TwoLayers();
            using var optimizer = new Kfac(
                model,
                Plain with
                {
                    Curvature = Plain.Curvature with { FactorPrecision = precision },
                },
                new Categorical()
            );
            Changes(model, optimizer, x, y);
            return optimizer.Snapshot().Tensors.Where(t => t.Key[^2..] is ".A" or ".G").ToDictionary(t => t.Key, t => t.Value.clone());
        }
        var (full, shorter) = (Factors(MatmulPrecision.Full), Factors(MatmulPrecision.BFloat16));
        foreach (var (name, factor) in full)
        {
            Assert.InRange(Dense.RelativeError(shorter[name], factor), 1e-6, 5e-3);
            Assert.Equal(ScalarType.Float64, shorter[name].dtype);
            Assert.InRange((shorter[name] - shorter[name].T).abs().max().ToDouble(), 0, 1e-15);
        }
    }

    [Fact]
    public void Bfloat16_inverses_give_nearly_the_step_take_half_the_memory_and_resume()
    {
        var (x, y) = (randn(64, 4), randint(0, 3, [64]));
        (Dictionary<string, Tensor> Change, long Bytes) Run(MatmulPrecision precision, bool resume = false)
        {
            manual_seed(53);
            var model = TwoLayers().to(ScalarType.Float32);
            var options = Plain with
            {
                LearningRate = 0.1,
                Curvature = Plain.Curvature with
                {
                    Inverse = new InverseOptions.Nystrom { Precision = precision },
                    Refresh = Plain.Curvature.Refresh with { InverseInterval = 5 },
                },
            };
            var optimizer = new Kfac(model, options, new Categorical());
            for (int i = 0; i < 7; i++)
            {
                if (resume && i == 3)
                {
                    var other = new Kfac(model, new(), new Categorical());
                    other.Restore(optimizer.Snapshot());
                    optimizer.Dispose();
                    optimizer = other;
                }
                var change = Changes(model, optimizer, x.to_type(ScalarType.Float32), y);
                if (i == 6)
                    return (
                        change,
                        optimizer
                            .Snapshot()
                            .Tensors.Where(t => t.Key.EndsWith("Left", StringComparison.Ordinal))
                            .Sum(t => t.Value.numel() * t.Value.ElementSize)
                    );
            }
            throw new InvalidOperationException();
        }
        var (full, shorter, resumed) = (
            Run(MatmulPrecision.Full),
            Run(MatmulPrecision.BFloat16),
            Run(MatmulPrecision.BFloat16, resume: true)
        );
        Assert.Equal(full.Bytes, 2 * shorter.Bytes);
        foreach (var (name, change) in full.Change)
        {
            Assert.InRange(Dense.RelativeError(shorter.Change[name], change), 1e-5, 0.1);
            Assert.Equal(Optimizers.Problem.Values([shorter.Change[name]]), Optimizers.Problem.Values([resumed.Change[name]]));
        }
    }

    [Fact]
    public void Inverses_by_iteration_are_those_by_Cholesky()
    {
        var options = Plain with
        {
            Damping = 0.3,
            Curvature = Plain.Curvature with { Inverse = new InverseOptions.Nystrom(), FactorEma = 0.99 },
        };
        (Dictionary<string, Tensor> State, IReadOnlyList<OptimizerEvent> Events) Run(InverseMethod method, double last = 0.3)
        {
            manual_seed(54);
            var model = TwoLayers();
            using var optimizer = new Kfac(
                model,
                options with
                {
                    LearningRate = 0,
                    Curvature = options.Curvature with { Inverse = InverseOptions.Of(method) },
                },
                new Categorical()
            );
            using var data = new Generator(9);
            for (int i = 0; i < 40; i++)
            {
                if (i == 39)
                    optimizer.Group.Options = optimizer.Group.Options with { Damping = last };
                Changes(model, optimizer, randn([200, 4], generator: data), randint(0, 3, [200], generator: data));
            }
            return (optimizer.Snapshot().Tensors.ToDictionary(t => t.Key, t => t.Value.clone()), optimizer.Events);
        }
        var (cholesky, auto, iterated) = (Run(InverseMethod.Cholesky), Run(InverseMethod.Auto), Run(InverseMethod.NewtonSchulz));
        foreach (string key in (string[])["a.Left", "a.Right", "b.Left", "b.Right"])
        {
            Assert.Equal(Optimizers.Problem.Values([cholesky.State[key]]), Optimizers.Problem.Values([auto.State[key]]));
            Assert.NotEqual(Optimizers.Problem.Values([cholesky.State[key]]), Optimizers.Problem.Values([iterated.State[key]]));
            Assert.InRange(Dense.RelativeError(iterated.State[key], cholesky.State[key]), 0, 1e-6);
        }
        var jumped = Run(InverseMethod.NewtonSchulz, last: 1e3);
        Assert.Contains(jumped.Events, e => e.Message.Contains("too far to begin from; by Cholesky", StringComparison.Ordinal));
        Assert.InRange(Dense.RelativeError(jumped.State["a.Right"], Run(InverseMethod.Cholesky, last: 1e3).State["a.Right"]), 0, 1e-12);
    }
}
