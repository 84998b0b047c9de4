using Amari.LeastSquares;
using Amari.Native;

namespace Amari.Tests.LeastSquares;

/// <summary>A curve as a model.</summary>
public sealed class CurveModelTests
{
    [Fact]
    public void Its_parameter_is_named_and_its_output_is_the_function()
    {
        using var model = new CurveModel((b, x) => b[0] + b[1] * x, [2, 3]);
        Assert.Equal(["b"], model.named_parameters().Select(p => p.name));
        using var x = torch.tensor((double[])[0, 1, 2], dtype: ScalarType.Float64);
        using var y = model.call(x);
        Assert.Equal([2, 5, 8], y.Elements<double>());
    }

    [Fact]
    public void A_start_must_be_finite()
    {
        Assert.Contains("start is []", Assert.Throws<ArgumentException>(() => new CurveModel((b, _) => b[0], [])).Message);
        Assert.Throws<ArgumentException>(() => new CurveModel((b, _) => b[0], [double.NaN]));
    }
}
