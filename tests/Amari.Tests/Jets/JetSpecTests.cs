using Amari.Jets;

namespace Amari.Tests.Jets;

public sealed class JetSpecTests
{
    [Fact]
    public void Second_derivatives_imply_the_first_that_they_need()
    {
        Assert.Equal("value, D(0), D(1), D(1, 1)", JetSpec.Value(3).With(1, 1).With(0).ToString());
        Assert.Equal("value, D(0), D(2), D(0, 2)", JetSpec.Value(3).With(2, 0).With(0, 2).ToString());
        Assert.Equal("value, D(0), D(2), Laplacian(0, 2)", JetSpec.Value(3).WithLaplacian(2, 0).ToString());
    }

    [Fact]
    public void A_Laplacian_is_one_component()
    {
        Assert.Equal(7, JetSpec.Laplacian(5).Components);
        Assert.Equal(6, JetSpec.Hessian(2).Components);
        Assert.Equal(3, JetSpec.Gradient(2).Components);
        Assert.Equal(1, JetSpec.Value(2).Components);
    }

    [Fact]
    public void Specs_of_the_same_derivatives_are_equal()
    {
        JetSpec laplacian = JetSpec.Laplacian(2);
        foreach (var same in (JetSpec[])[JetSpec.Gradient(2).WithLaplacian(1, 0), JetSpec.Value(2).WithLaplacian().With(1)])
            Assert.Equal((laplacian, laplacian.GetHashCode()), (same, same.GetHashCode()));
        foreach (var other in (JetSpec[])[JetSpec.Laplacian(3), laplacian.With(0, 1), JetSpec.Gradient(2), JetSpec.Hessian(2)])
            Assert.NotEqual(laplacian, other);
        Assert.NotEqual(JetSpec.Value(2), JetSpec.Value(3));
    }

    [Fact]
    public void Dimensions_are_named_in_their_refusal()
    {
        foreach (var make in (Func<int, JetSpec>[])[JetSpec.Value, JetSpec.Gradient, JetSpec.Laplacian, JetSpec.Hessian])
            Assert.StartsWith(
                "dimensions is 0; it must be an integer >= 1.",
                Assert.Throws<ArgumentOutOfRangeException>(() => make(0)).Message
            );
    }

    [Fact]
    public void Axes_out_of_range_are_refused()
    {
        foreach (
            var wrong in (Action[])
                [
                    () => JetSpec.Value(2).With(2),
                    () => JetSpec.Value(2).With(0, -1),
                    () => JetSpec.Value(2).WithLaplacian(3),
                    () => JetSpec.Value(2).WithLaplacian(1, 1),
                    () => JetSpec.Value(0),
                ]
        )
            Assert.ThrowsAny<ArgumentException>(wrong);
        Assert.Contains("axis is 2; it must be in [0, 2).", Assert.ThrowsAny<ArgumentException>(() => JetSpec.Value(2).With(2)).Message);
    }
}
