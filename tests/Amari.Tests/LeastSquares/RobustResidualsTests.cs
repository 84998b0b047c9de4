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

    /// <summary>r² is beyond float64, the loss is not.</summary>
    [Theory, InlineData(RobustLoss.Huber), InlineData(RobustLoss.SoftL1), InlineData(RobustLoss.Cauchy)]
    public void Huge_residuals_do_not_vanish(RobustLoss loss)
    {
        const double huge = 1e200;
        using var scope = torch.NewDisposeScope();
        var r = torch.tensor((double[])[huge, -huge], dtype: ScalarType.Float64).requires_grad_(true);
        var values = RobustResiduals.Of(r, loss, 1);
        double expected = loss == RobustLoss.Cauchy ? Math.Sqrt(2 * Math.Log(huge)) : Math.Sqrt(2 * huge);
        Assert.Equal(1, values[0].item<double>() / expected, 1e-12);
        Assert.Equal(-1, values[1].item<double>() / expected, 1e-12);
        double slope = loss == RobustLoss.Cauchy ? 1 / (huge * expected) : 1 / expected;
        Assert.Equal(1, ReverseMode.Derivative([values.sum()], [r])[0]![0].item<double>() / slope, 1e-12);
        var (influence, second) = RobustResiduals.Influence(r, loss, 1);
        Assert.Equal(loss == RobustLoss.Cauchy ? 0 : 1, influence[0].item<double>(), 1e-12);
        Assert.Equal(0, second[0].item<double>(), 1e-12);
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
