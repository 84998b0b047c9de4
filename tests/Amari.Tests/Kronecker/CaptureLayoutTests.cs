using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Layers with rows that cannot be assigned to examples, and layers used several times: what is measured and logged.</summary>
public sealed class CaptureLayoutTests() : KfacTest(91)
{
    private const string Layout = "examples are not the first dimension of its input: every position counts by itself",
        Uses = "it is used several times in a pass: second moments are of each use by itself";

    /// <summary>Positions pooled into one prediction, [r, n, E] inside or [n, r, E].</summary>
    private sealed class Pooled : nn.Module<Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, 3),
            b = nn.Linear(3, 2);
        private readonly LayerNorm norm = nn.LayerNorm(3);
        private readonly bool _timeFirst;

        public Pooled(bool timeFirst)
            : base("pooled")
        {
            _timeFirst = timeFirst;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) =>
            b.call(norm.call(a.call(_timeFirst ? x.transpose(0, 1) : x)).tanh().mean([_timeFirst ? 0 : 1]));
    }

    private static (Dictionary<string, Tensor> State, IReadOnlyList<OptimizerEvent> Events) Measured(
        bool timeFirst,
        Kfac.Options options,
        int steps = 1
    )
    {
        manual_seed(92);
        var (model, x, y) = (new Pooled(timeFirst), randn(5, 3, 4), randn(5, 2));
        using var optimizer = new Kfac(
            model,
            options with
            {
                LearningRate = 0,
                Curvature = options.Curvature with { Refresh = options.Curvature.Refresh with { FactorInterval = 1 } },
            },
            new Gaussian()
        );
        for (int i = 0; i < steps; i++)
            Step(model, optimizer, new Gaussian(), x, y);
        return (optimizer.Snapshot().Tensors.ToDictionary(t => t.Key, t => t.Value.clone()), optimizer.Events);
    }

    [Theory, InlineData(FisherKind.Exact), InlineData(FisherKind.Empirical), InlineData(FisherKind.ForwardOnly)]
    public void Reducing_time_first_rows_becomes_expanding_and_is_logged_once(FisherKind kind)
    {
        var reduced = Plain with
        {
            Curvature = Plain.Curvature with { Fisher = FisherOptions.Of(kind), WeightSharing = WeightSharing.Reduce },
        };
        var (last, right) = (Measured(true, reduced, 3), Measured(false, reduced));
        var expanded = Measured(false, Plain with { Curvature = Plain.Curvature with { Fisher = FisherOptions.Of(kind) } });
        foreach (string factor in (string[])["a.A", "a.G"])
            Assert.InRange(Dense.RelativeError(last.State[factor], expanded.State[factor]), 0, 1e-12);
        Assert.InRange(Dense.RelativeError(right.State["a.A"], expanded.State["a.A"]), 0.05, 10);
        Assert.Equal(
            kind == FisherKind.ForwardOnly ? ["a"] : ["a", "norm"],
            last.Events.Where(e => e.Message == Layout).Select(e => e.Subject).Order()
        ); // not "(3 times by now)"
        Assert.Empty(right.Events);
        Assert.Empty(expanded.Events);
    }

    [Fact]
    public void What_was_logged_is_not_logged_again_by_a_resumed_run()
    {
        var (model, x, y) = (new Pooled(timeFirst: true), randn(5, 3, 4), randn(5, 2));
        var options = Plain with
        {
            LearningRate = 0,
            Curvature = Plain.Curvature with
            {
                WeightSharing = WeightSharing.Reduce,
                Refresh = Plain.Curvature.Refresh with { FactorInterval = 1 },
            },
        };
        using var first = new Kfac(model, options, new Gaussian());
        Step(model, first, new Gaussian(), x, y);
        using var resumed = new Kfac(model, options, new Gaussian());
        resumed.Restore(first.Snapshot());
        using (first.Estimate.SuspendOthers())
            Step(model, first, new Gaussian(), x, y);
        using (resumed.Estimate.SuspendOthers())
            Step(model, resumed, new Gaussian(), x, y);
        Assert.NotEmpty(first.Events);
        Assert.Equal(first.Events, resumed.Events);
    }

    [Fact]
    public void Second_moments_of_time_first_rows_are_logged()
    {
        var ekfac = Plain with { Curvature = Plain.Curvature with { Inverse = new InverseOptions.EigenvalueCorrection() } };
        Assert.Equal(["a", "norm"], Measured(true, ekfac).Events.Where(e => e.Message == Layout).Select(e => e.Subject).Order());
        Assert.Empty(Measured(false, ekfac).Events);
        Assert.Equal(["norm"], Measured(true, Plain).Events.Select(e => e.Subject));
        var model = new Pooled(timeFirst: true);
        using var factored = new KroneckerFactored(new(model, new Gaussian(), [(randn(5, 3, 4), randn(5, 2))]), corrected: true);
        Assert.All(
            factored.Coverage.Rows,
            r => Assert.Equal(r.Parameter[0] != 'b', r.Reason.EndsWith("; " + Layout, StringComparison.Ordinal))
        );
    }

    /// <summary>One normalisation at two places, or one at each of them with the same numbers.</summary>
    private sealed class Twice : nn.Module<Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(3, 4),
            b = nn.Linear(4, 2);
        private readonly LayerNorm first = nn.LayerNorm(4),
            second = nn.LayerNorm(4);
        private readonly bool _apart;

        public Twice(bool apart)
            : base("twice")
        {
            _apart = apart;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => b.call((_apart ? second : first).call(first.call(a.call(x)).tanh()));
    }

    [Fact]
    public void Uses_of_a_normalisation_are_separate_and_logged()
    {
        var (model, twin, x) = (new Twice(apart: false), new Twice(apart: true), randn(6, 3));
        using (no_grad())
            foreach (var (p, q) in twin.parameters().Zip(model.parameters()))
                p.copy_(q);
        Tensor Jacobian(string layer) =>
            Dense
                .Jacobian(
                    twin,
                    x,
                    [.. twin.named_parameters().Where(p => p.name.StartsWith(layer, StringComparison.Ordinal)).Select(p => p.parameter)]
                )
                .flatten(0, 1);
        var (one, two) = (Jacobian("first"), Jacobian("second"));
        var apart = Units(one.T.mm(one) + two.T.mm(two)) / 6;
        var together = Units((one + two).T.mm(one + two)) / 6;
        using var optimizer = new Kfac(model, Plain with { LearningRate = 0 }, new Gaussian());
        Step(model, optimizer, x);
        Assert.InRange(Dense.RelativeError(optimizer.Snapshot().Tensors["first.F"], apart), 0, 1e-12);
        Assert.InRange(Dense.RelativeError(together, apart), 0.05, 10);
        Assert.Equal([("first", Uses)], optimizer.Events.Select(e => (e.Subject, e.Message)));
        using var once = new Kfac(twin, Plain with { LearningRate = 0 }, new Gaussian());
        Step(twin, once, x);
        Assert.Empty(once.Events);

        static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, Tensor x)
        {
            new Gaussian().Loss(model.call(x), zeros(6, 2)).backward();
            optimizer.step();
        }

        static Tensor Units(Tensor f) =>
            stack([
                .. Enumerable
                    .Range(0, 4)
                    .Select(u => f.index_select(0, tensor(new long[] { u, u + 4 })).index_select(1, tensor(new long[] { u, u + 4 }))),
            ]);
    }

    [Fact]
    public void Uses_of_a_layer_are_logged_where_its_eigenvalues_are_corrected()
    {
        foreach (var method in (DampingMethod[])[DampingMethod.Ekfac, DampingMethod.Eigenbasis])
        {
            var layer = nn.Linear(3, 3);
            var model = nn.Sequential(("a", layer), ("t", nn.Tanh()), ("again", layer), ("b", nn.Linear(3, 2)));
            using var optimizer = new Kfac(
                model,
                Plain with
                {
                    Curvature = Plain.Curvature with { Inverse = InverseOptions.Of(method) },
                },
                new Gaussian()
            );
            new Gaussian().Loss(model.call(randn(6, 3)), zeros(6, 2)).backward();
            optimizer.step();
            Assert.Equal(method == DampingMethod.Ekfac ? [("a", Uses)] : [], optimizer.Events.Select(e => (e.Subject, e.Message)));
        }
    }
}
