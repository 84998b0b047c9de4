using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Layers that are frozen, thawed or unused; what there is nothing to train of.</summary>
public sealed class KfacFrozenTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public KfacFrozenTests() => manual_seed(4);

    public void Dispose() => _scope.Dispose();

    /// <summary>A layer with a block, one without, and a head.</summary>
    private static Sequential Model() => nn.Sequential(("a", nn.Linear(4, 6)), ("p", nn.PReLU(6)), ("b", nn.Linear(6, 3)));

    private static readonly Kfac.Options Lively = new()
    {
        WeightDecay = 0.1,
        Fallback = new() { WeightDecay = 0.1 },
        Step = new AutoStep { Momentum = 0.9 },
        Curvature = new()
        {
            Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
        },
    };

    private static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer)
    {
        optimizer.zero_grad();
        nn.functional.cross_entropy(model.call(randn(8, 4)), randint(0, 3, [8])).backward();
        optimizer.step();
    }

    /// <summary>The named parameters after some steps.</summary>
    private static double[] After(int steps, Sequential model, Kfac optimizer, params string[] names)
    {
        for (int i = 0; i < steps; i++)
            Step(model, optimizer);
        return Optimizers.Problem.Values(names.Select(n => model.get_parameter(n)!));
    }

    public static TheoryData<FisherKind, string> Frozen =>
        new(
            from k in new[] { FisherKind.CurvaturePropagation, FisherKind.Empirical }
            from names in new[] { "a.weight,a.bias", "p.weight", "a.weight", "a.bias", "a.weight,a.bias,p.weight" }
            select (k, names)
        );

    /// <summary>A bias moves where its weight is frozen, and the other way round, though one block has both.</summary>
    [Theory, MemberData(nameof(Frozen))]
    public void What_is_frozen_midway_stays_and_trains_again_when_thawed(FisherKind kind, string names)
    {
        string[] frozen = names.Split(',');
        string[] others = [.. new[] { "a.weight", "a.bias", "p.weight", "b.weight", "b.bias" }.Except(frozen)];
        var model = Model();
        using var optimizer = new Kfac(
            model,
            Lively with
            {
                Curvature = Lively.Curvature with { Fisher = FisherOptions.Of(kind) },
            },
            new Categorical()
        );
        After(4, model, optimizer, frozen);
        foreach (string name in frozen)
            model.get_parameter(name)!.requires_grad = false;
        var (still, moving) = (After(0, model, optimizer, frozen), After(0, model, optimizer, others));
        Assert.Equal(still, After(4, model, optimizer, frozen));
        Assert.NotEqual(moving, After(0, model, optimizer, others));
        Assert.All(others, n => Assert.NotNull(model.get_parameter(n)!.grad));
        foreach (string name in frozen)
            model.get_parameter(name)!.requires_grad = true;
        List<double[]> At(string[] which) => [.. which.Select(n => After(0, model, optimizer, n))];
        var thawed = At(frozen);
        After(2, model, optimizer);
        Assert.All(thawed.Zip(At(frozen)), p => Assert.NotEqual(p.First, p.Second));
        Assert.Equal(0, optimizer.SkippedSteps);
    }

    /// <summary>The step of the bias is that of the block with the gradient of the weight zero, and no length of the weight's
    /// counts.</summary>
    [Fact]
    public void A_bias_alone_moves_by_its_part_of_the_whole_block()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 3)));
        var options = new Kfac.Options
        {
            LearningRate = 1,
            Damping = 0.1,
            Step = new AutoStep { KlClip = null, Momentum = 0 },
            Curvature = new() { Fisher = new FisherOptions.Exact(), Inverse = new InverseOptions.Eigenbasis() },
        };
        using var optimizer = new Kfac(model, options, new Categorical());
        var before = model.get_parameter("a.bias")!.detach().clone();
        var (x, y) = (randn(16, 4), randint(0, 3, [16]));
        nn.functional.cross_entropy(model.call(x), y).backward();
        var weight = model.get_parameter("a.weight")!;
        weight.requires_grad = false;
        optimizer.step();
        var state = optimizer.Snapshot().Tensors;
        var v = cat([zeros(3, 4), model.get_parameter("a.bias")!.grad!.unsqueeze(1)], 1);
        var dense = kron(state["a.G"], state["a.A"]) + 0.1 * eye(15);
        var u = linalg.solve(dense, v.reshape(-1, 1)).reshape(3, 5);
        Assert.InRange((model.get_parameter("a.bias")! - before + u.select(1, 4)).abs().max().ToDouble(), 0, 1e-5);
    }

    private sealed class Branches : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 6),
            second = nn.Linear(4, 6),
            head = nn.Linear(6, 3);
        private readonly PReLU slope = nn.PReLU(6);

        public Branches()
            : base("branches") => RegisterComponents();

        public bool Second { get; set; }

        public override Tensor forward(Tensor x) => head.call(Second ? slope.call(second.call(x)) : first.call(x).relu());
    }

    [Fact]
    public void What_a_batch_does_not_use_stays()
    {
        var model = new Branches { Second = true };
        using var optimizer = new Kfac(model, Lively, new Categorical());
        for (int i = 0; i < 4; i++)
            Step(model, optimizer);
        string[] names = ["second.weight", "second.bias", "slope.weight"];
        double[] Values() => Optimizers.Problem.Values(names.Select(n => model.get_parameter(n)!));
        var before = Values();
        model.Second = false;
        for (int i = 0; i < 3; i++)
            Step(model, optimizer);
        Assert.Equal(before, Values());
        Assert.All(names, n => Assert.Null(model.get_parameter(n)!.grad));
        model.Second = true;
        Step(model, optimizer);
        Assert.NotEqual(before, Values());
        Assert.All(optimizer.Coverage.Rows, r => Assert.Equal(r.Parameter == "slope.weight" ? "AdamW" : "K-FAC Linear", r.Block));
    }

    [Theory, InlineData("a.weight,a.bias"), InlineData("p.weight"), InlineData("a.weight")]
    public void What_was_frozen_at_first_trains_when_thawed_and_is_logged(string names)
    {
        string[] frozen = names.Split(',');
        var model = Model();
        foreach (string name in frozen)
            model.get_parameter(name)!.requires_grad = false;
        using var optimizer = new Kfac(model, Lively, new Categorical());
        var before = After(0, model, optimizer, frozen);
        Assert.Equal(before, After(3, model, optimizer, frozen));
        foreach (string name in frozen)
            model.get_parameter(name)!.requires_grad = true;
        Assert.NotEqual(before, After(3, model, optimizer, frozen));
        Assert.All(
            frozen,
            n =>
                Assert.Single(
                    optimizer.Events,
                    e => e.Subject == n && e.Message.Contains("frozen when the optimizer was made", StringComparison.Ordinal)
                )
        );
    }

    [Fact]
    public void Strict_minds_no_frozen_parameter()
    {
        var model = Model();
        model.get_parameter("p.weight")!.requires_grad = false;
        using var optimizer = new Kfac(model, new() { Strict = true }, new Categorical());
        Step(model, optimizer);
    }

    [Fact]
    public void Nothing_to_train_and_complex_parameters_are_refused()
    {
        var frozen = nn.Linear(2, 2);
        foreach (var p in frozen.parameters())
            p.requires_grad = false;
        foreach (nn.Module<Tensor, Tensor> model in new nn.Module<Tensor, Tensor>[] { nn.Sequential(("t", nn.Tanh())), frozen })
            Assert.Contains(
                "no parameter to train",
                Assert.Throws<ArgumentException>(() => new Kfac(model)).Message,
                StringComparison.Ordinal
            );
        var mixed = new Free(complex(ones(2), ones(2)));
        Assert.Contains("'free' is complex", Assert.Throws<ArgumentException>(() => new Kfac(mixed)).Message, StringComparison.Ordinal);
        var empty = new Free(zeros(0, 3));
        using var optimizer = new Kfac(empty, Lively, new Categorical());
        for (int i = 0; i < 3; i++)
            Step(empty, optimizer);
        Assert.Contains(optimizer.Coverage.Rows, r => r.Parameter == "free" && r.Reason == "it has no elements");
        optimizer.Restore(optimizer.Snapshot());
        Step(empty, optimizer);
    }

    private sealed class Free : nn.Module<Tensor, Tensor>
    {
        private readonly Linear layer = nn.Linear(4, 3);

        public Free(Tensor value)
            : base("free")
        {
            register_module("layer", layer);
            register_parameter("free", nn.Parameter(value));
        }

        public override Tensor forward(Tensor x) => layer.call(x);
    }

    [Fact]
    public void Zero_grad_leaves_no_gradient()
    {
        var model = Model();
        using var optimizer = new Kfac(model, Lively, new Categorical());
        Step(model, optimizer);
        Assert.All(model.parameters(), p => Assert.NotNull(p.grad));
        optimizer.zero_grad();
        Assert.All(model.parameters(), p => Assert.Null(p.grad));
        var before = Optimizers.Problem.Values(model.parameters());
        optimizer.step();
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
    }
}
