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
    public void A_step_on_a_batch_is_that_of_its_residuals()
    {
        static Tensor Decay(Tensor b, Tensor x) => b[0] * torch.exp(-b[1] * x);
        using var scope = torch.NewDisposeScope();
        var x = torch.linspace(0, 2, 9, dtype: ScalarType.Float64);
        var y = torch.cos(x).to_type(ScalarType.Float32);
        using var model = new CurveModel(Decay, [2, 1]);
        using var b = new Parameter(torch.tensor((double[])[2, 1], dtype: ScalarType.Float64));
        var weights = torch.full(9, Math.Sqrt(1 / (9 * 0.25)), dtype: ScalarType.Float64);
        var residuals = new CurveResiduals(Decay, x, y.to_type(ScalarType.Float64), b, weights);
        using var onBatch = new LevenbergMarquardt(model, new Gaussian(0.25));
        using var onResiduals = new LevenbergMarquardt(residuals);
        for (int step = 0; step < 4; step++)
        {
            onBatch.StepOnBatch(x, y);
            onResiduals.StepOnResiduals();
            Assert.Equal(b.Elements<double>(), model.B.Elements<double>());
        }
    }

    [Fact]
    public void A_start_must_be_finite()
    {
        Assert.Contains("start is []", Assert.Throws<ArgumentException>(() => new CurveModel((b, _) => b[0], [])).Message);
        Assert.Throws<ArgumentException>(() => new CurveModel((b, _) => b[0], [double.NaN]));
    }
}
