using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>What is seen of a backward pass while it runs.</summary>
public sealed class GradientTapTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>Where the graph is kept, more may follow.</summary>
    [Fact]
    public void A_backward_pass_says_whether_it_keeps_its_graph()
    {
        using var probe = zeros(1, requires_grad: true);
        var kept = new List<bool>();
        var loss = GradientTap.On(ones(2, requires_grad: true).mul(2), probe, _ => kept.Add(LibTorch.KeepsGraph)).sum();
        loss.backward(retain_graph: true);
        loss.backward();
        Assert.Equal([true, false], kept);
        Assert.True(LibTorch.KeepsGraph);
    }
}
