using Amari.Curvature;
using Amari.Tests.KfacOptimizer;
using Module = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Amari.Tests.Kronecker;

/// <summary>Layers whose calls are not one for each example: positions, constants, padding, hooks, weights in functions.</summary>
public sealed class CaptureUsesTests() : KfacTest(23)
{
    /// <summary>Layers and what is done with them.</summary>
    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly Func<Tensor, Tensor> _run;

        public Net(Func<Tensor, Tensor> run, params (string Name, nn.Module Layer)[] layers)
            : base(nameof(Net))
        {
            _run = run;
            foreach (var (name, layer) in layers)
                register_module(name, layer);
        }

        public override Tensor forward(Tensor x) => _run(x);
    }

    private static Objective Of(Module model, Tensor x, string only = "", Likelihood? likelihood = null, Tensor? y = null) =>
        new(
            model,
            likelihood ?? new Categorical(),
            [(x, y ?? randint(0, 3, [x.shape[0]]))],
            ParameterLayout.Of(model, n => n.StartsWith(only, StringComparison.Ordinal))
        );

    private static double Trace(Objective objective, FisherKind kind = FisherKind.Exact, long seed = 0)
    {
        using var factored = new KroneckerFactored(objective, kind, seed: seed);
        return factored.ToDense().trace().ToDouble();
    }

    private static IEnumerable<Tensor> Numbers(Kfac optimizer) => optimizer.Snapshot().Tensors.Values.Where(t => t.is_floating_point());

    private static double FisherTrace(Objective objective) => new Fisher(objective).ToDense().trace().ToDouble();

    /// <summary>Its one input serves all examples, so that K-FAC is exact but for chance.</summary>
    [Theory, InlineData(FisherKind.Exact, 1), InlineData(FisherKind.Exact, 64), InlineData(FisherKind.CurvaturePropagation, 64)]
    public void A_layer_without_examples_has_its_factor_in_the_mean(FisherKind kind, int examples)
    {
        var (a, e) = (nn.Linear(2, 3), nn.Embedding(1, 3));
        var model = new Net(x => a.call(x) + e.call(zeros(1, ScalarType.Int64)), ("a", a), ("e", e));
        var objective = Of(model, randn(examples, 2), "e.");
        double[] traces = [.. Enumerable.Range(0, 400).Select(seed => Trace(objective, kind, seed))];
        Assert.InRange(traces.Average() / FisherTrace(objective), 0.75, 1.25);
    }

    [Fact]
    public void The_empirical_factor_of_a_layer_without_examples_is_reported()
    {
        var (a, e) = (nn.Linear(2, 3), nn.Embedding(4, 3));
        var model = new Net(x => a.call(x) + e.call(arange(4)).mean([0L]), ("a", a), ("e", e));
        using var factored = new KroneckerFactored(Of(model, randn(9, 2)), FisherKind.Empirical);
        Assert.Contains("fewer rows than the loss has terms", factored.Coverage.Rows.Single(r => r.Parameter == "e.weight").Reason);
        Assert.DoesNotContain("fewer rows", factored.Coverage.Rows.Single(r => r.Parameter == "a.weight").Reason);
    }

    /// <summary>As many positions as examples: neither every k-th of them nor those of ignored labels are left out.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void Positions_are_no_examples(bool ignores)
    {
        const int n = 64;
        var (token, position, last) = (nn.Embedding(5, 2), nn.Embedding(n, 2), nn.Linear(2, 3));
        var model = new Net(
            x => last.call((token.call(x) + position.call(arange(n))).tanh()),
            ("token", token),
            ("position", position),
            ("last", last)
        );
        using var optimizer = new Kfac(model, new() { LearningRate = 1e-4 }, new Categorical());
        var y = randint(0, 3, [n, n]);
        if (ignores)
            y[TensorIndex.Slice(0, n / 2)] = -100;
        for (int i = 0; i < 40; i++)
            optimizer.StepOnBatch(randint(0, 5, [n, n]), y);
        var a = optimizer.Snapshot().Tensors["position.A"];
        Assert.InRange((a * n - 1).abs().max().ToDouble(), 0, 1e-6);
    }

    [Fact]
    public void Calls_for_one_example_each_keep_their_features()
    {
        var layer = nn.Linear(6, 3);
        var model = new Net(x => stack([.. Enumerable.Range(0, 6).Select(i => layer.call(x[i]))]), ("a", layer));
        var (x, y) = (randn(6, 6), tensor(new long[] { 0, -100, 2, 1, -100, 0 }));
        using var optimizer = new Kfac(model, new(), new Categorical());
        optimizer.StepOnBatch(x, y);
        Assert.Equal(0, optimizer.SkippedSteps);
    }

    [Fact]
    public void A_batch_without_labels_leaves_the_factors()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 3)), ("t", nn.Tanh()), ("b", nn.Linear(3, 3)));
        var (x, y, none) = (randn(9, 4), randint(0, 3, [9]), full(9, -100L, dtype: ScalarType.Int64));
        var likelihood = new Categorical();
        Objective Over(params (Tensor, Tensor)[] batches) => new(model, likelihood, batches);
        using var all = new KroneckerFactored(Over((x, y), (randn(9, 4), none)));
        using var counted = new KroneckerFactored(Over((x, y)));
        Assert.InRange(Dense.RelativeError(all.ToDense(), counted.ToDense()), 0, 1e-12);
        using var optimizer = new Kfac(model, new(), likelihood);
        var before = model.parameters().Select(p => p.detach().clone()).ToList();
        optimizer.StepOnBatch(randn(9, 4), none);
        Assert.All(model.parameters().Zip(before), p => Assert.True(p.First.equal(p.Second).all().ToBoolean()));
        for (int i = 0; i < 3; i++)
            optimizer.StepOnBatch(x, y);
        Assert.All(Numbers(optimizer), t => Assert.True(t.isfinite().all().ToBoolean()));
    }

    public static TheoryData<string> Outside => ["a function", "a tied table", "a convolution"];

    [Theory, MemberData(nameof(Outside))]
    public void A_weight_outside_of_its_layers_calls_is_reported(string how)
    {
        var (linear, table, convolution) = (nn.Linear(3, 3), nn.Embedding(3, 3), nn.Conv2d(1, 1, 3, padding: 1));
        Tensor Table() => table.get_parameter("weight")!;
        var (model, layer, x) = how switch
        {
            "a function" => (new Net(x => nn.functional.linear(linear.call(x), linear.weight!), ("a", linear)), "a", randn(5, 3)),
            "a tied table" => (new Net(x => nn.functional.linear(table.call(x), Table()), ("a", table)), "a", randint(0, 3, [5])),
            _ => (
                new Net(
                    x => (convolution.call(x) + nn.functional.conv2d(x, convolution.weight! * 2, padding: [1, 1])).flatten(1),
                    ("a", convolution)
                ),
                "a",
                randn(5, 1, 3, 1)
            ),
        };
        using var optimizer = new Kfac(model, new() { LearningRate = 1e-3 }, new Categorical());
        for (int i = 0; i < 3; i++)
            optimizer.StepOnBatch(x, randint(0, 3, [5]));
        var reported = Assert.Single(optimizer.Events, e => e.Message.Contains("act outside of its calls", StringComparison.Ordinal));
        Assert.Equal(layer, reported.Subject);
        using var factored = new KroneckerFactored(Of(model, x));
        Assert.Contains("act outside of its calls", factored.Coverage.Rows.First(r => r.Parameter == "a.weight").Reason);
    }

    [Theory, InlineData("linear"), InlineData("convolution"), InlineData("norm"), InlineData("model")]
    public void A_hook_that_was_there_before_is_a_part_of_the_model(string what)
    {
        Module layer = what switch
        {
            "convolution" => nn.Conv2d(1, 3, 3, bias: false),
            "norm" => nn.LayerNorm(3),
            _ => nn.Linear(3, 3, hasBias: false),
        };
        ((nn.HookableModule<Func<Module, Tensor, Tensor>, Func<Module, Tensor, Tensor, Tensor>>)layer).register_forward_hook(
            (_, _, y) => y * 3
        );
        Module model = what == "model" ? layer : nn.Sequential(("a", layer), ("f", nn.Flatten()));
        var objective = Of(model, what == "convolution" ? randn(1, 1, 3, 3) : randn(1, 3));
        Assert.InRange(Trace(objective) / FisherTrace(objective), 1 - 1e-9, 1 + 1e-9);
    }

    [Fact]
    public void Positions_of_the_padding_do_not_count()
    {
        var layer = nn.Embedding(5, 3, padding_idx: 1);
        using (no_grad())
            layer.get_parameter("weight")!.copy_(randn(5, 3)); // a row that is loaded need not be 0
        var (model, x) = (new Net(layer.call, ("e", layer)), tensor(new long[] { 0, 1, 1, 2, 3, 4 }));
        var objective = Of(model, x);
        using var factored = new KroneckerFactored(objective);
        Assert.InRange(factored.ToDense().trace().ToDouble() / FisherTrace(objective), 1 - 1e-9, 1 + 1e-9);
        var (_, a, _) = factored.Factors.Single();
        Assert.InRange(Dense.RelativeError(a, tensor(new[] { 0.25, 0, 0.25, 0.25, 0.25 })), 0, 1e-12);
        Assert.Equal("K-FAC Embedding", factored.Coverage.Rows.Single().Block);
    }

    /// <summary>What is read is shortened by max_norm; what is asked once for the padding is not.</summary>
    [Fact]
    public void Looking_for_the_padding_changes_no_row()
    {
        var layer = nn.Embedding(5, 3, max_norm: 0.5);
        var weight = layer.get_parameter("weight")!;
        var before = weight.detach().clone();
        Trace(Of(new Net(layer.call, ("e", layer)), tensor(new long[] { 0, 2 })));
        Assert.True(weight[1].equal(before[1]).all().ToBoolean());
        Assert.False(weight[0].equal(before[0]).all().ToBoolean());
    }

    /// <summary>Between measurements, and at a step that measures.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void All_follows_a_model_to_another_type(bool corrected)
    {
        for (int moves = 1; moves <= 12; moves++)
        {
            var model = nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3))).to(ScalarType.Float32);
            var (x, y) = (randn(8, 4), randint(0, 3, [8]));
            CurvatureOptions curvature = new()
            {
                Refresh = new() { FactorInterval = 3, InverseInterval = 6 },
            };
            if (corrected)
                curvature = curvature with { Inverse = new InverseOptions.EigenvalueCorrection() };
            using var optimizer = new Kfac(model, new() { Curvature = curvature }, new Categorical());
            for (int i = 0; i < 16; i++)
            {
                if (i == moves)
                    model.to(ScalarType.Float64);
                optimizer.zero_grad();
                nn.functional.cross_entropy(model.call(x.to_type(i < moves ? ScalarType.Float32 : ScalarType.Float64)), y).backward();
                optimizer.step();
                if (i >= moves)
                    Assert.All(Numbers(optimizer), t => Assert.Equal(ScalarType.Float64, t.dtype));
            }
        }
    }
}
