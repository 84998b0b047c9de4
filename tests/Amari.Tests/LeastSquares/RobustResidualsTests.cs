using Amari.LeastSquares;
using Amari.Native;

namespace Amari.Tests.LeastSquares;

/// <summary>Robust residuals against the losses as SciPy defines them.</summary>
public sealed class RobustResidualsTests
{
    private static readonly double[] Residuals = [-1e4, -3, -1.0001, -1, -0.5, -1e-5, 0, 1e-9, 0.3, 0.9999, 2, 50];

    public static TheoryData<RobustLoss> Losses => [.. Enum.GetValues<RobustLoss>()];

    private static double Rho(RobustLoss loss, double z) =>
        loss switch
        {
            RobustLoss.Huber => z <= 1 ? z : 2 * Math.Sqrt(z) - 1,
            RobustLoss.SoftL1 => 2 * (Math.Sqrt(1 + z) - 1),
            RobustLoss.Cauchy => Math.Log(1 + z),
            _ => z,
        };

    [Theory, MemberData(nameof(Losses))]
    public void Their_squares_are_the_loss(RobustLoss loss)
    {
        const double scale = 0.7;
        using var scope = torch.NewDisposeScope();
        var r = torch.tensor(Residuals, dtype: ScalarType.Float64);
        double[] found = RobustResiduals.Of(r, loss, scale).Elements<double>();
        foreach (var (value, given) in found.Zip(Residuals))
        {
            double expected = scale * scale * Rho(loss, given * given / (scale * scale));
            Assert.Equal(expected, value * value, 1e-7 * expected + 1e-17);
            Assert.Equal(Math.Sign(given), Math.Sign(value));
        }
    }

    [Theory, MemberData(nameof(Losses))]
    public void Influence_and_slope_are_its_derivatives(RobustLoss loss)
    {
        const double scale = 0.7,
            h = 1e-5;
        using var scope = torch.NewDisposeScope();
        double[] at = [-3, -0.5, -1e-5, 0, 0.3, 2, 50];
        var (influence, slope) = RobustResiduals.Influence(torch.tensor(at, dtype: ScalarType.Float64), loss, scale);
        foreach (var (r, i) in at.Select((r, i) => (r, i)))
        {
            Assert.Equal((Half(r + h) - Half(r - h)) / (2 * h), influence[i].item<double>(), 1e-7 * Math.Max(1, Math.Abs(r)));
            Assert.Equal((Half(r + h) - 2 * Half(r) + Half(r - h)) / (h * h), slope[i].item<double>(), 1e-4 * Math.Max(1, r * r));
        }

        double Half(double r) => 0.5 * scale * scale * Rho(loss, r * r / (scale * scale));
    }

    [Theory, MemberData(nameof(Losses))]
    public void Derivatives_are_finite_everywhere(RobustLoss loss)
    {
        using var scope = torch.NewDisposeScope();
        var r = torch.tensor(Residuals, dtype: ScalarType.Float64).requires_grad_(true);
        var first = ReverseMode.Derivative([RobustResiduals.Of(r, loss, 1).sum()], [r], createGraph: true)[0]!;
        Assert.True(first.isfinite().all().item<bool>());
        if (first.requires_grad)
            Assert.True(ReverseMode.Derivative([first.sum()], [r])[0]!.isfinite().all().item<bool>());
    }
}
