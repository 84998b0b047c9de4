using Amari.Native;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

public sealed class BoxTests
{
    private static readonly Box Domain = new(new Axis("t", 0, 2), new Axis("x", -1, 1), new Axis("y", 5, 6));

    [Fact]
    public void Points_lie_in_the_box_evenly()
    {
        using var scope = NewDisposeScope();
        var points = Domain.Points(Region.Interior, 1000, seed: 1);
        Assert.Equal([1000, 3], points.shape);
        for (int axis = 0; axis < 3; axis++)
        {
            var (_, low, high) = Domain.Axes[axis];
            var shares = (points.select(1, axis) - low) / (high - low);
            Assert.InRange(shares.min().ToDouble(), 0, 0.01);
            Assert.InRange(shares.max().ToDouble(), 0.99, 1);
            Assert.Equal(0.5, shares.mean().ToDouble(), tolerance: 0.01); // 0.03 for 1,000 independent ones
        }
    }

    [Fact]
    public void Points_of_a_region_lie_on_its_faces()
    {
        using var scope = NewDisposeScope();
        Tensor initial = Domain.Points(Region.Low(0), 50, 1),
            ends = Domain.Points(Region.Ends(1), 50, 1),
            top = Domain.Points(Region.High(2), 50, 1),
            all = Domain.Points(Region.Boundary, 60, 1);
        Assert.Equal(0, initial.select(1, 0).abs().max().ToDouble());
        Assert.Equal(1, ends.select(1, 1).abs().min().ToDouble());
        Assert.Equal(0, ends.select(1, 1).sum().ToDouble());
        Assert.Equal(6, top.select(1, 2).min().ToDouble());
        for (int face = 0; face < 6; face++)
        {
            var (_, low, high) = Domain.Axes[face / 2];
            Assert.Equal(10, all.select(1, face / 2).eq(face % 2 == 0 ? low : high).sum().ToInt64());
        }
    }

    [Fact]
    public void Points_depend_on_the_seed_alone()
    {
        using var scope = NewDisposeScope();
        Tensor a = Domain.Points(Region.Interior, 10, 1),
            again = Domain.Points(Region.Interior, 10, 1),
            other = Domain.Points(Region.Interior, 10, 2);
        Assert.Equal(a.Elements<double>(), again.Elements<double>());
        Assert.NotEqual(a.Elements<double>(), other.Elements<double>());
    }

    [Fact]
    public void One_dimension_has_two_end_points()
    {
        using var points = Box.Unit(1).Points(Region.Boundary, 4, 1);
        Assert.Equal([0, 1, 0, 1], points.Elements<double>());
    }

    [Fact]
    public void Wrong_boxes_and_regions_are_refused()
    {
        Assert.Contains("finite", Assert.Throws<ArgumentException>(() => new Axis("x", 1, 1)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new Box());
        Assert.Contains(
            "axis 3",
            Assert.Throws<ArgumentException>(() => Domain.Points(Region.Low(3), 1, 1)).Message,
            StringComparison.Ordinal
        );
    }
}
