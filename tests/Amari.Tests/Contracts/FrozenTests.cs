using Amari.Tests.Optimizers;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>What is frozen, unused or empty does not move; an optimizer over nothing is refused.</summary>
public sealed class FrozenTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static nn.Module<Tensor, Tensor> Model()
    {
        manual_seed(3);
        return nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
    }

    private static void Freeze(nn.Module model, bool frozen = true)
    {
        foreach (var p in model.parameters())
            p.requires_grad = !frozen;
    }

    private static void Step(Optimizer o, Func<Tensor> loss)
    {
        using var scope = NewDisposeScope();
        o.zero_grad();
        loss().backward();
        o.step();
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void A_layer_frozen_midway_stays_and_goes_on_when_thawed(string name)
    {
        var (model, x) = (Model(), randn(8, 4));
        var first = model.children().First();
        using var o = OptimizerCases.Make(name, model);
        Tensor Loss() => model.call(x).square().mean();
        for (int i = 0; i < 3; i++)
            Step(o, Loss);
        Freeze(first);
        var (frozen, others) = (Problem.Values(first.parameters()), Problem.Values(model.parameters()));
        o.step(); // its last gradient is still there
        Assert.Equal(frozen, Problem.Values(first.parameters()));
        for (int i = 0; i < 3; i++)
            Step(o, Loss);
        Assert.Equal(frozen, Problem.Values(first.parameters()));
        Assert.NotEqual(others, Problem.Values(model.parameters()));
        Assert.Equal(2, o.Coverage.Rows.Count(r => r.Reason.EndsWith("frozen now", StringComparison.Ordinal)));
        Freeze(first, false);
        Step(o, Loss);
        Assert.NotEqual(frozen, Problem.Values(first.parameters()));
        Assert.DoesNotContain(o.Coverage.Rows, r => r.Reason.EndsWith("frozen now", StringComparison.Ordinal));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void A_layer_that_a_batch_does_not_use_stays(string name)
    {
        var (model, x) = (Model(), randn(8, 4));
        var (first, last) = ((nn.Module<Tensor, Tensor>)model.children().First(), model.children().Last());
        using var o = OptimizerCases.Make(name, model);
        for (int i = 0; i < 3; i++)
            Step(o, () => model.call(x).square().mean());
        var before = Problem.Values(last.parameters());
        for (int i = 0; i < 3; i++)
            Step(o, () => first.call(x).square().mean());
        Assert.Equal(before, Problem.Values(last.parameters()));
        Assert.All(last.parameters(), p => Assert.Null(p.grad));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void A_layer_thawed_later_is_trained(string name)
    {
        var (model, x) = (Model(), randn(8, 4));
        var first = model.children().First();
        Freeze(first);
        using var o = OptimizerCases.Make(name, model);
        var before = Problem.Values(first.parameters());
        for (int i = 0; i < 2; i++)
            Step(o, () => model.call(x).square().mean());
        Assert.Equal(before, Problem.Values(first.parameters()));
        Freeze(first, false);
        if (o is Sophia s)
            s.UpdateCurvature([.. s.parameters().Select(p => p.detach().square() + 0.1)]);
        if (o is AdaHessian a)
            a.UpdateCurvature([.. a.parameters().Select(p => p.detach().square() + 0.1)]);
        for (int i = 0; i < 2; i++)
            Step(o, () => model.call(x).square().mean()); // SOAP's first gradient only makes its basis
        Assert.NotEqual(before, Problem.Values(first.parameters()));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Without_a_trainable_parameter_it_is_refused(string name)
    {
        var frozen = Model();
        Freeze(frozen);
        Assert.Contains("no parameters", Refusal(() => OptimizerCases.Make(name, [])), StringComparison.Ordinal);
        var none = nn.Sequential(("t", nn.Tanh()));
        Assert.Contains("no parameters", Refusal(() => OptimizerCases.Make(name, none)), StringComparison.Ordinal);
        Assert.Contains("frozen", Refusal(() => OptimizerCases.Make(name, frozen)), StringComparison.Ordinal);
        Parameter[] mixed = [nn.Parameter(ones(2)), nn.Parameter(complex(ones(2), ones(2)))];
        Assert.Contains("ComplexFloat32", Refusal(() => OptimizerCases.Make(name, mixed)), StringComparison.Ordinal);
        using var some = OptimizerCases.Make(name, nn.Sequential(("a", Model()), ("b", frozen)));

        static string Refusal(Func<Optimizer> make) => Assert.ThrowsAny<ArgumentException>(make).Message;
    }

    [Fact]
    public void No_groups_are_refused()
    {
        Assert.Throws<ArgumentException>(() => new AdamW(new List<ParameterGroup<AdamW.Options>>()));
        Assert.Throws<ArgumentException>(() => new PartitionedOptimizer(Model(), new List<ParameterGroup<PartitionedOptimizer.Options>>()));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Empty_parameters_are_passed_over(string name)
    {
        var plain = Problem.Parameters([
            [5, 7],
        ]);
        Parameter[] mixed =
        [
            .. Problem.Parameters([
                [5, 7],
            ]),
            .. Problem.Parameters([
                [3, 0],
                [0, 3],
                [0],
                [2, 0, 4],
            ]),
        ];
        using var a = OptimizerCases.Make(name, plain);
        using var b = OptimizerCases.Make(name, mixed);
        Problem.Steps(a, plain, 0, 4);
        Problem.Steps(b, mixed, 0, 4);
        Assert.Equal(Problem.Values(plain), Problem.Values(mixed));
        Assert.Equal(a.StateBytes, b.StateBytes);
        b.Restore(b.Snapshot());
        b.to(CPU);
        Assert.Equal(5, b.Coverage.Rows.Count);
    }
}
