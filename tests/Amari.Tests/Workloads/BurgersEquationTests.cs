using Amari.LeastSquares;
using Amari.Native;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

public sealed class BurgersEquationTests
{
    /// <summary>A Fourier method in space with Runge and Kutta's in time, the viscosity in an integrating factor.</summary>
    [Theory]
    [InlineData(0.25, 512, 5e-4)]
    [InlineData(0.4, 2048, 1e-4)]
    public void The_solution_is_that_of_a_spectral_method(double time, int modes, double step)
    {
        using var scope = NewDisposeScope();
        using var off = no_grad();
        var x = arange(modes, dtype: ScalarType.Float64) * (2.0 / modes) - 1;
        var k = Math.PI * arange(modes / 2 + 1, dtype: ScalarType.Float64);
        var keep = arange(modes / 2 + 1).lt(modes / 3).to_type(ScalarType.Float64); // no aliases of squares
        var ik = complex(zeros_like(k), -0.5 * k * keep);
        Tensor decay = (-0.01 / Math.PI * k.square() * step).exp(),
            half = decay.sqrt();
        Tensor Slope(Tensor u) => ik * fft.rfft(fft.irfft(u, modes).square());

        var u = fft.rfft(-(Math.PI * x).sin());
        for (int i = 0; i < (int)Math.Round(time / step); i++)
        {
            using var stepScope = NewDisposeScope();
            var a = step * Slope(u);
            var b = step * Slope(half * (u + a / 2));
            var c = step * Slope(half * u + b / 2);
            var d = step * Slope(decay * u + half * c);
            u = (decay * u + (decay * a + 2 * half * (b + c) + d) / 6).MoveToOuterDisposeScope();
        }
        var expected = fft.irfft(u, modes);

        var points = stack([full_like(x, time), x], 1);
        var solution = new BurgersEquation().Solution(points).squeeze(1);
        Assert.Equal(0, (solution - expected).abs().max().ToDouble(), tolerance: 1e-9);
    }

    [Fact]
    public void Any_network_satisfies_the_initial_and_the_wall_conditions()
    {
        using var scope = NewDisposeScope();
        var workload = new BurgersEquation();
        using var model = (PdeModel)workload.CreateModel();
        Tensor start = workload.Domain.Points(Region.Low(0), 50, 1),
            walls = workload.Domain.Points(Region.Ends(1), 50, 1);
        Assert.Equal(0, (model.Evaluate(start) - workload.Solution(start)).abs().max().ToDouble(), tolerance: 1e-14);
        Assert.Equal(0, model.Evaluate(walls).abs().max().ToDouble(), tolerance: 1e-14);
    }

    [Fact]
    public void Points_are_denser_at_the_front_and_settings_are_of_the_interior()
    {
        var workload = new BurgersEquation();
        using var data = workload.Load(null);
        using var distance = data.Train.Inputs.select(1, 1).abs();
        double near = distance.lt(0.01).to_type(ScalarType.Float64).mean().ToDouble();
        Assert.Equal(Math.Asinh(0.01 / 0.02) / Math.Asinh(1 / 0.02), near, tolerance: 0.005); // 0.10, and not 0.01
        Assert.Equal(["hidden", "points", "resample"], workload.SettingNames);
        Assert.Equal(64, workload.With(new Dictionary<string, string> { ["points"] = "64" }).BatchSize);
    }
}
