using Amari.Distributed;
using Amari.Kronecker;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Who holds an inverse; one process as the smallest number of ranks. Several ranks: see MpiTests.</summary>
public sealed class InverseSharingTests() : KfacTest(15)
{
    [Theory]
    [InlineData(1, 0.0, 1)]
    [InlineData(8, 0.0, 1)]
    [InlineData(8, 0.5, 4)]
    [InlineData(8, 0.9, 4)]
    [InlineData(8, 1.0, 8)]
    [InlineData(6, 0.5, 3)]
    [InlineData(6, 0.34, 2)]
    [InlineData(7, 0.99, 1)]
    [InlineData(3, 1.0, 3)]
    public void Holders_are_the_largest_divisor_within_the_share(int ranks, double fraction, int expected) =>
        Assert.Equal(expected, InverseSharing.Holders(ranks, fraction));

    [Fact]
    public void One_process_holds_everything()
    {
        using var block = new LinearBlock("l", nn.Linear(3, 2), hasBias: true);
        block.Accumulate(
            block.Measure(randn(5, 3), randn(5, 2), new(First: true, PerExample: true, WeightSharing.Expand, Corrected: false))
        );
        Assert.True(block.UpdateRunningAverage(0.2, 0.9));
        using var sharing = new InverseSharing(SingleProcess.Instance, 1);
        Assert.False(sharing.HasInverse(block));
        Assert.Empty(sharing.Refresh([block], _ => new(0.1), new(InverseMethod.Cholesky, 0.2), new()));
        Assert.True(sharing.IsEverywhere && sharing.HasInverse(block) && sharing.Holds(block));
        var v = randn(2, 4);
        Assert.True(sharing.Precondition(block, v, new(0.1)).equal(block.Inverse!.Apply(v, 0.1)).all().ToBoolean());
        Assert.Equal(["Left", "Right"], sharing.Saved(block).Select(t => t.Name));
        Assert.Equal([block.InverseCost], sharing.Loads);
    }
}
