using System.Runtime.InteropServices;
using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>autograd.grad, cummax, cummin and set_rng_state with errors that are exceptions. A failure here may end the process.</summary>
public sealed class GuardedFunctionsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public GuardedFunctionsTests() => Assert.Null(TorchLibrary.Status.Unguarded);

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Derivatives_are_those_of_backward_and_have_graphs()
    {
        manual_seed(4);
        var (x, y) = (randn(3, 4).requires_grad_(), randn(4).requires_grad_());
        var loss = x.mv(y).tanh().square().sum();
        var first = autograd.grad([loss], [x, y], retain_graph: true, create_graph: true);
        loss.backward(retain_graph: true);
        Assert.True(first[0].detach().equal(x.grad!).all().ToBoolean());
        Assert.True(first[1].detach().equal(y.grad!).all().ToBoolean());
        var second = autograd.grad([first[0]], [x], [ones(3, 4)]);
        Assert.True(second[0].abs().sum().ToSingle() > 0);
    }

    [Fact]
    public void An_impossible_derivative_is_an_exception_with_the_text_of_libtorch()
    {
        var x = ones(3).requires_grad_();
        var y = x.square().sum();
        autograd.grad([y], [x]);
        Throws("Trying to backward through the graph a second time", () => autograd.grad([y], [x]));
        Throws("appears to not have been used in the graph", () => autograd.grad([x.square().sum()], [ones(1).requires_grad_()]));
        Throws("does not require grad", () => autograd.grad([ones(1)], [x]));
        Throws("grad can be implicitly created only for scalar outputs", () => autograd.grad([x.square()], [x]));
        Assert.Equal(6, autograd.grad([x.square().sum()], [x])[0].sum().ToSingle());
    }

    [Fact]
    public void Running_extremes_are_right_or_an_exception()
    {
        var x = tensor([1f, 3f, 2f, 0f]);
        var (most, at) = x.cummax(0);
        Assert.Equal([1f, 3f, 3f, 3f], most.data<float>().ToArray());
        Assert.Equal([0L, 1L, 1L, 1L], at.data<long>().ToArray());
        Assert.Equal([1L, 1L, 1L, 0L], x.to(ScalarType.Int64).cummin(-1).values.data<long>().ToArray());
        Throws("Dimension out of range", () => x.cummax(1));
        Throws("Dimension out of range", () => x.cummin(-2));
        Throws("not implemented for 'ComplexFloat'", () => x.to(ScalarType.ComplexFloat32).cummin(0));
    }

    [Fact]
    public void A_random_state_of_another_kind_is_refused()
    {
        var before = get_rng_state();
        Throws("The random state", () => set_rng_state(ones(3)));
        Throws("The random state", () => set_rng_state(zeros_like(before)));
        set_rng_state(before);
        var first = randn(3);
        set_rng_state(before);
        Assert.True(first.equal(randn(3)).all().ToBoolean());
    }

    private static void Throws(string words, Action call) =>
        Assert.Contains(words, Assert.Throws<ExternalException>(call).Message.Split('\n')[0], StringComparison.Ordinal);
}
