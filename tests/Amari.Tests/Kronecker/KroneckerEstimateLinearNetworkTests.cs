using Amari.Curvature;
using Amari.Distributed;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Deep linear networks with squared loss: the output gradients do not depend on the input, and K-FAC's block is that of the
/// Gauss-Newton matrix.</summary>
public sealed class KroneckerEstimateLinearNetworkTests() : KfacTest(85)
{
    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, 3),
            b = nn.Linear(3, 2),
            c = nn.Linear(2, 2, hasBias: false);
        private readonly bool _pools;

        public Net(bool pools)
            : base("net")
        {
            _pools = pools;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => c.call(b.call(a.call(x))) is var f && _pools ? f.mean([1]) : f;
    }

    public static TheoryData<LossReduction, WeightSharing?> Cases =>
        new(
            from r in Enum.GetValues<LossReduction>()
            from s in (WeightSharing?[])[null, WeightSharing.Expand, WeightSharing.Reduce]
            select (r, s)
        );

    /// <summary>Without sharing; with a loss at every position, where expanding is exact; with one of their mean, where reducing
    /// is.</summary>
    [Theory, MemberData(nameof(Cases))]
    public void Blocks_are_those_of_the_Gauss_Newton_matrix(LossReduction reduction, WeightSharing? sharing)
    {
        const long n = 6;
        const double variance = 0.7;
        var model = new Net(sharing == WeightSharing.Reduce);
        var likelihood = new Gaussian(variance);
        var x = sharing is null ? randn(n, 4) : randn(n, 3, 4);
        var y = randn(model.call(x).shape);
        double terms = reduction == LossReduction.Sum ? n : 1; // of the mean's
        var layers = model.named_children().Select(l => (l.name, Parameters: (List<Parameter>)[.. l.module.parameters()])).ToList();
        var dense = layers.ConvertAll(l => Dense.Fisher(model, x, l.Parameters, f => eye(f.numel()) / variance));
        var whole = new GaussNewton(new(model, likelihood, [(x, y)], reduction: reduction)).ToDense();

        using var factored = new KroneckerFactored(
            new(model, likelihood, [(x, y)], reduction: reduction),
            sharing: sharing ?? WeightSharing.Expand
        );
        var blocks = factored.ToDense();
        long at = 0;
        foreach (var block in dense)
        {
            long d = block.shape[0];
            Tensor Part(Tensor m) => m.narrow(0, at, d).narrow(1, at, d);
            Assert.InRange(Dense.RelativeError(Part(whole), terms * block), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(Part(blocks), terms * block), 0, 1e-12);
            at += d;
        }

        // the optimizer damps the mean, whatever the loss
        using var optimizer = new Kfac(
            model,
            Plain with
            {
                Reduction = reduction,
                Curvature = Plain.Curvature with { WeightSharing = sharing ?? WeightSharing.Expand },
            },
            likelihood
        );
        var before = layers.ConvertAll(l => Flat(l.Parameters));
        (terms * likelihood.Loss(model.call(x), y)).backward();
        var gradients = layers.ConvertAll(l => cat([.. l.Parameters.Select(p => p.grad!.flatten().clone())]));
        optimizer.step();
        foreach (var (gradient, layer) in gradients.Zip(layers))
            Assert.Equal(gradient, cat([.. layer.Parameters.Select(p => p.grad!.flatten())])); // they stay as they are
        foreach (var (((name, parameters), block), old) in layers.Zip(dense).Zip(before))
        {
            var g = cat([.. parameters.Select(p => p.grad!.flatten())]) / terms;
            Assert.InRange(
                Dense.RelativeError(Flat(parameters) - old, -linalg.solve(block + Plain.Damping * eye(g.shape[0]), g)),
                0,
                1e-10
            );
        }

        static Tensor Flat(List<Parameter> parameters) => cat([.. parameters.Select(p => p.detach().flatten().clone())]);
    }

    /// <summary>With one example the block is exact whatever the network: the error is that of the draws alone.</summary>
    [Theory, InlineData(FisherKind.MonteCarlo), InlineData(FisherKind.CurvaturePropagation)]
    public void Error_of_drawn_blocks_falls_as_the_root_of_their_number(FisherKind kind)
    {
        const int seeds = 20;
        int[] samples = [8, 32, 128];
        var model = nn.Sequential(("a", nn.Linear(3, 4)), ("t", nn.Tanh()), ("b", nn.Linear(4, 5)));
        var x = randn(1, 3);
        var dense = Dense.Fisher(model, x, [.. ((Linear)model[0]).parameters()], Dense.CategoricalFisher);
        var objective = new Objective(
            model,
            new Categorical(),
            [(x, zeros(1, dtype: ScalarType.Int64))],
            ParameterLayout.Of(model, n => n[0] == 'a')
        );
        double[] errors =
        [
            .. samples.Select(count =>
                Enumerable
                    .Range(0, seeds)
                    .Average(seed =>
                    {
                        using var factored = new KroneckerFactored(objective, kind, count, seed);
                        return Dense.RelativeError(factored.ToDense(), dense);
                    })
            ),
        ];
        var (logs, values) = (samples.Select(s => Math.Log(s)).ToList(), errors.Select(e => Math.Log(e)).ToList());
        double slope =
            logs.Zip(values, (s, e) => (s - logs.Average()) * (e - values.Average())).Sum()
            / logs.Sum(s => Math.Pow(s - logs.Average(), 2));
        Assert.InRange(slope, -0.6, -0.4);
    }
}
