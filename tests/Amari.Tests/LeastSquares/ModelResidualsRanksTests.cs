using Amari.Curvature;
using Amari.LeastSquares;
using Amari.Tests.Distributed;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.LeastSquares;

/// <summary>Rows divided over ranks, one of which has none, against one process with all rows.</summary>
public sealed class ModelResidualsRanksTests
{
    [Theory, InlineData(false), InlineData(true)]
    public void Products_over_ranks_are_those_of_one_process(bool norm)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        Sequential Make()
        {
            var (first, last) = (nn.Linear(4, 5), nn.Linear(5, 2));
            return (norm ? nn.Sequential(first, nn.LayerNorm(5), nn.Tanh(), last) : nn.Sequential(first, nn.Tanh(), last)).to(F64);
        }
        var model = Make();
        var copies = new[] { model, Make(), Make() }; // the capture of one rank must not meet that of another
        foreach (var copy in copies[1..])
            copy.load_state_dict(model.state_dict());
        Tensor x = randn(7, 4, dtype: F64),
            y = randn(7, 2, dtype: F64),
            v = randn(ParameterLayout.Of(model).Dimension, dtype: F64);
        using var whole = new ModelResiduals(model, new SquaredError(), x, y).Linearize();
        Tensor j = whole.Jacobian(),
            normal = whole.Normal.ToDense(),
            gradient = whole.ApplyTransposed(whole.R);
        ThreadRanks.Run(
            3,
            ranks =>
            {
                using var own = NewDisposeScope();
                var (start, count) = new[] { (0, 4), (4, 3), (0, 0) }[ranks.Rank];
                var residuals = new ModelResiduals(
                    copies[ranks.Rank],
                    new SquaredError(),
                    x.narrow(0, start, count),
                    y.narrow(0, start, count),
                    null,
                    ranks
                );
                var values = residuals.Values();
                using var linear = residuals.Linearize();
                Assert.Equal(2 * count, linear.Rows);
                if (count > 0)
                {
                    Near(linear.R, values, 1e-15);
                    Near(linear.Jacobian(), j.narrow(0, 2 * start, 2 * count), 1e-12);
                }
                Near(linear.ApplyTransposed(linear.R), gradient, 1e-12);
                Near(linear.Normal.ToDense(), normal, 1e-12);
                Near(linear.Normal.Apply(v), normal.mv(v), 1e-12);
                Assert.Equal(long.MaxValue, linear.GramBytes);
                Assert.Contains("use Normal", Assert.Throws<NotSupportedException>(() => linear.Gram).Message);
            }
        );
    }
}
