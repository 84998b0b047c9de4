using Amari.Curvature;
using Amari.Native;
using Amari.Spectrum;
using Amari.Tests.Optimizers;
using Amari.Tests.SecondOrder;

namespace Amari.Tests.Contracts;

/// <summary>Parameters whose numbers share memory are refused by name before anything is written to them.</summary>
public sealed class SharedMemoryTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static Parameter Expanded(bool trained = true) => new(zeros(1).expand(3), trained);

    private static nn.Module<Tensor, Tensor> Model()
    {
        var last = nn.Linear(3, 3);
        last.bias = Expanded();
        return nn.Sequential(("first", nn.Linear(4, 3)), ("last", last));
    }

    private static void Refused(string name, Action act)
    {
        string message = Assert.Throws<ArgumentException>(act).Message;
        Assert.Contains($"'{name}' [3]", message, StringComparison.Ordinal);
        Assert.Contains(".clone()", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Every_optimizer_refuses_them(string name) =>
        Refused("p1", () => OptimizerCases.Make(name, [new Parameter(zeros(2)), Expanded()]).Dispose());

    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void Every_second_order_optimizer_refuses_them(string name) =>
        Refused("last.bias", () => SecondOrderCases.Make(name, Model()).Dispose());

    [Fact]
    public void KFac_refuses_them_and_so_does_a_plane_of_losses()
    {
        Refused("last.bias", () => new Kfac(Model(), null, new Categorical()).Dispose());
        var objective = new Objective(Model(), new Categorical(), [(randn(5, 4), zeros(5, dtype: ScalarType.Int64))]);
        Assert.True(new Hessian(objective).Apply(ones(objective.Parameters.Dimension)).isfinite().all().ToBoolean()); // it writes nothing
        Refused("last.bias", () => LossSurface.Evaluate(objective, ones(objective.Parameters.Dimension, 2), [0], [0.5]));
    }

    [Fact]
    public void Groups_that_are_added_are_held_to_it()
    {
        using var optimizer = new AdamW([new Parameter(zeros(2))]);
        Refused("late", () => optimizer.Add(new([("late", Expanded())], new())));
        Assert.Single(optimizer.Groups);
    }

    [Fact]
    public void A_frozen_one_may_stay_until_it_is_thawed()
    {
        var (free, frozen) = (new Parameter(zeros(2)), Expanded(trained: false));
        using var optimizer = new AdamW(new ParameterGroup<AdamW.Options>[] { new([("free", free), ("frozen", frozen)], new()) });
        free.grad = ones(2);
        optimizer.step();
        Assert.Equal(2, free.ne(0).sum().ToInt32());
        var before = free.detach().clone();
        frozen.requires_grad = true;
        frozen.grad = ones(3);
        Refused("frozen", () => optimizer.step());
        Assert.True(before.equal(free).all().ToBoolean());
    }

    /// <summary>What lies apart may lie in any order, and with gaps.</summary>
    [Fact]
    public void Strides_that_do_not_meet_are_taken()
    {
        foreach (
            var (shape, strides) in ((long[], long[])[])
                [([2, 3], [1, 2]), ([2, 3], [7, 2]), ([1, 3], [0, 1]), ([4, 1, 2], [2, 0, 1]), ([], []), ([0, 3], [0, 0])]
        )
            Require.Separate("w", ones(20).as_strided(shape, strides));
        foreach (var (shape, strides) in ((long[], long[])[])[([3], [0]), ([2, 3], [0, 1]), ([3, 2], [1, 1]), ([2, 2, 2], [4, 1, 1])])
            Assert.Throws<ArgumentException>(() => Require.Separate("w", ones(20).as_strided(shape, strides)));
    }
}
