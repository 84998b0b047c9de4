using Amari.Jets;

namespace Amari.Tests.Jets;

public sealed class JetTests
{
    [Fact]
    public void Components_are_found_by_their_axes()
    {
        using var scope = NewDisposeScope();
        JetNetwork u = new(nn.Identity());
        using var x = u.At(randn(4, 2), JetSpec.Value(2).With(0));
        Assert.Equal(0, x.Value.sub(x.Stack[0]).abs().max().ToDouble());
        Assert.Equal([1f, 0f], x.D(0)[2].data<float>().ToArray());
    }

    [Fact]
    public void A_derivative_that_was_not_asked_for_is_named_with_the_remedy()
    {
        using var scope = NewDisposeScope();
        using var x = new JetNetwork(nn.Identity()).At(randn(4, 2), JetSpec.Value(2).With(0));
        Assert.Equal(
            "The jet has no D(1, 1), only value, D(0): ask for it by With(1, 1) of its JetSpec.",
            Assert.Throws<InvalidOperationException>(() => x.D(1, 1)).Message
        );
        Assert.Contains("no D(1),", Assert.Throws<InvalidOperationException>(() => x.D(1)).Message);
        Assert.Contains("WithLaplacian()", Assert.Throws<InvalidOperationException>(() => x.Laplacian).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => x.D(2));
    }

    [Fact]
    public void Jets_of_equal_specs_are_joined()
    {
        using var scope = NewDisposeScope();
        var points = randn(4, 2);
        JetNetwork u = new(nn.Identity());
        using var x = u.At(points, JetSpec.Laplacian(2));
        using var y = u.At(points, JetSpec.Gradient(2).WithLaplacian());
        Assert.Equal(0, ((x + y).Stack - 2 * x.Stack).abs().max().ToDouble());
        Assert.Equal(0, ((x * y).Laplacian - 2).abs().max().ToDouble());
    }

    [Fact]
    public void Jets_of_different_specs_are_not_joined()
    {
        using var scope = NewDisposeScope();
        JetNetwork u = new(nn.Identity());
        using var x = u.At(randn(4, 2), JetSpec.Value(2));
        using var y = u.At(randn(4, 2), JetSpec.Gradient(2));
        Assert.Contains("different specs", Assert.Throws<ArgumentException>(() => x + y).Message);
    }
}
