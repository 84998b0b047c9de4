using Amari.Curvature;
using Amari.Reporting;

namespace Amari.Tests.Curvature;

/// <summary>Planes through weights, against the loss computed at each point by itself.</summary>
public class LossSurfaceTests
{
    private static (nn.Module<Tensor, Tensor> Model, Objective Objective) Network()
    {
        manual_seed(4);
        var model = nn.Sequential(("c", nn.Conv2d(1, 3, 3)), ("f", nn.Flatten()), ("a", nn.Linear(12, 3))).to(ScalarType.Float64);
        return (
            model,
            new(model, new Categorical(), [(randn(9, 1, 4, 4, dtype: ScalarType.Float64), randint(0, 3, [9], dtype: ScalarType.Int64))])
        );
    }

    [Fact]
    public void Losses_are_those_at_the_points_and_the_weights_come_back()
    {
        var (_, objective) = Network();
        var layout = objective.Parameters;
        using var w = layout.Read();
        using var plane = randn(layout.Dimension, 2, dtype: ScalarType.Float64);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        double[,] losses = LossSurface.Evaluate(objective, plane, [-1, 0, 0.5], [0, 2]);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        using (var back = layout.Read())
            Assert.Equal(0, (w - back).abs().max().ToDouble());
        Assert.Equal((2, 3), (losses.GetLength(0), losses.GetLength(1)));
        Assert.Equal(objective.Loss(), losses[0, 1]);
        layout.Write(w + 0.5 * plane.select(1, 0) + 2 * plane.select(1, 1));
        Assert.Equal(objective.Loss(), losses[1, 2], 1e-12);
        layout.Write(w);
        using var stop = new CancellationTokenSource();
        double[,] part = LossSurface.Evaluate(objective, plane, [0, 1], [0, 1], new Stopper(stop), stop.Token);
        Assert.Equal([false, true, true, true], part.Cast<double>().Select(double.IsNaN));
        Assert.Throws<ArgumentException>(() => LossSurface.Evaluate(objective, w, [0], [0]));
    }

    [Fact]
    public void Random_directions_have_the_length_of_every_filter()
    {
        var (model, objective) = Network();
        using var plane = LossSurface.FilterNormalised(objective.Parameters, 1);
        using var other = LossSurface.FilterNormalised(objective.Parameters, 2);
        Assert.True((plane - other).abs().max().ToDouble() > 0.01);
        for (int k = 0; k < 2; k++)
            foreach (var ((name, w), d) in objective.Parameters.Parameters.Zip(objective.Parameters.Split(plane.select(1, k).contiguous())))
                for (int i = 0; i < w.shape[0]; i++)
                    Assert.Equal(
                        name.EndsWith("bias", StringComparison.Ordinal) ? 0 : w[i].norm().ToDouble(),
                        d[i].norm().ToDouble(),
                        1e-12
                    );
    }

    [Fact]
    public void Paths_are_projected_to_the_nearest_point_and_span_their_principal_plane()
    {
        manual_seed(6);
        using var plane = randn(20, 2, dtype: ScalarType.Float64);
        using var w = randn(20, dtype: ScalarType.Float64);
        var (a, b) = LossSurface.Project(w + 3 * plane.select(1, 0) - 2 * plane.select(1, 1), w, plane);
        Assert.Equal((3.0, -2.0), (Math.Round(a, 10), Math.Round(b, 10)));

        Tensor[] path =
        [
            .. Enumerable.Range(0, 6).Select(i => w + (5 - i) * plane.select(1, 0) + Math.Sin(i * Math.PI / 5) * plane.select(1, 1)),
        ];
        var (directions, share) = LossSurface.Principal(path);
        Assert.Equal(1, share, 1e-12);
        Assert.True((directions.T.mm(directions) - eye(2, dtype: ScalarType.Float64)).abs().max().ToDouble() < 1e-10);
        foreach (var point in path)
        {
            var (x, y) = LossSurface.Project(point, path[^1], directions);
            Assert.True((path[^1] + x * directions.select(1, 0) + y * directions.select(1, 1) - point).norm().ToDouble() < 1e-10);
        }
        Assert.Throws<ArgumentException>(() => LossSurface.Principal(path[..2]));
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64])
        {
            Assert.Throws<ArgumentException>(() => LossSurface.Principal([w, w, w, w]));
            Assert.Throws<ArgumentException>(() => LossSurface.Principal([.. Enumerable.Range(1, 5).Select(i => (i * w).to_type(type))]));
        }
    }

    private sealed class Stopper(CancellationTokenSource stop) : IProgress<double>
    {
        public void Report(double value) => stop.Cancel();
    }
}
