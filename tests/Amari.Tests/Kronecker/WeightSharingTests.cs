using Amari.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>K-FAC-expand and K-FAC-reduce, each in its own setting.</summary>
public sealed class WeightSharingTests() : KfacTest(6)
{
    private sealed class Pooled : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> a,
            b;
        private readonly bool _channelsSecond;

        public Pooled(nn.Module<Tensor, Tensor> a, nn.Module<Tensor, Tensor> b, bool channelsSecond = true)
            : base("pooled")
        {
            (this.a, this.b, _channelsSecond) = (a, b, channelsSecond);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var y = b.call(a.call(x));
            return _channelsSecond ? y.flatten(2).mean([2]) : y.mean([1]);
        }
    }

    /// <summary>Eschenhagen et al. 2023, propositions 1 and 2: in deep linear networks of squared loss, expand is exact where each position
    /// has its term, reduce where positions are averaged.</summary>
    [Fact]
    public void Sharing_is_exact_in_its_own_setting_and_not_in_the_other()
    {
        var positions = nn.Sequential(("a", nn.Linear(4, 3)), ("b", nn.Linear(3, 2)));
        Assert.InRange(Error(positions, randn(5, 3, 4), randn(5, 3, 2), WeightSharing.Expand), 0, 1e-12);
        Assert.InRange(Error(positions, randn(5, 3, 4), randn(5, 3, 2), WeightSharing.Reduce), 0.05, 10);
        var pooled = new Pooled(nn.Linear(4, 3), nn.Linear(3, 2), channelsSecond: false);
        Assert.InRange(Error(pooled, randn(5, 3, 4), randn(5, 2), WeightSharing.Reduce), 0, 1e-12);
        Assert.InRange(Error(pooled, randn(5, 3, 4), randn(5, 2), WeightSharing.Expand), 0.05, 10);
        foreach (
            var (convolutional, x) in new (Pooled, Tensor)[]
            {
                (new(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 2)), randn(4, 2, 3, 3)),
                (new(nn.Conv1d(2, 3, 1), nn.ConvTranspose1d(3, 2, 2, stride: 2)), randn(4, 2, 5)),
            }
        )
            // a position of the last layer is like any other
            Assert.InRange(Error(convolutional, x, randn(4, 2), WeightSharing.Reduce, n => n.StartsWith('b')), 0, 1e-12);

        static double Error(nn.Module<Tensor, Tensor> model, Tensor x, Tensor y, WeightSharing sharing, Func<string, bool>? filter = null)
        {
            var objective = new Objective(model, new Gaussian(), [(x, y)], ParameterLayout.Of(model, filter));
            using var factored = new KroneckerFactored(objective, sharing: sharing);
            return Dense.RelativeError(factored.ToDense(), new BlockDiagonal(new Fisher(objective)).ToDense());
        }
    }
}
