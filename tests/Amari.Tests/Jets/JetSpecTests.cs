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
