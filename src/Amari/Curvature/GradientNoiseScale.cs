using Amari.Kernels;
using Amari.Spectrum;

namespace Amari.Curvature;

/// <summary>The gradient noise scale (McCandlish, Kaplan, Amodei 2018, arXiv:1812.06162, Appendix A.1): the batch size at which noise and
/// gradient have the same size.</summary>
/// <remarks><code>
/// B_simple = tr Σ / |G|²
/// |G|² = (b⁻¹ |G_big|² - n⁻¹ mean|G_small|²) / (b⁻¹ - n⁻¹),   tr Σ = (mean|G_small|² - |G_big|²) / (b⁻¹ - n⁻¹)
/// </code>
/// Σ is the covariance of one example's gradient. The small batches are the objective's batches, b⁻¹ is the mean of 1 / their size, and the
/// big batch is all n examples. Well below B_simple a larger batch pays off; well above it does not.</remarks>
/// <param name="Scale">B_simple in examples; NaN or negative if |G|² is below the noise: use more data.</param>
/// <param name="SquaredGradient">|G|².</param>
/// <param name="Covariance">tr Σ.</param>
public sealed record GradientNoiseScale(Estimate Scale, Estimate SquaredGradient, Estimate Covariance)
{
    /// <summary>Measures the noise scale over the batches of an objective, in two passes over the data. Errors are jackknife errors over
    /// batches.</summary>
    /// <param name="objective">An objective with at least two batches of one size (the last may be smaller).</param>
    /// <exception cref="ArgumentException">There is only one batch.</exception>
    public static GradientNoiseScale Of(Objective objective)
    {
        ArgumentNullException.ThrowIfNull(objective);
        using var scope = NewDisposeScope();
        var layout = objective.Parameters;
        var sum = zeros(layout.Dimension, dtype: layout.Type, device: layout.Device);
        objective.Walk(true, p => sum.add_(layout.Flatten(objective.Derivative(p.Loss, null))));
        double whole = InnerProducts.Of(sum, sum).AA;
        var batches = new List<(double Terms, double Square, double Along)>();
        objective.Walk(
            true,
            p =>
            {
                if (p.Terms == 0)
                    return;
                var g = layout.Flatten(objective.Derivative(p.Loss, null)); // summed over the batch's terms
                var products = InnerProducts.Of(g, sum);
                batches.Add((p.Terms, products.AA, products.AB));
            }
        );
        if (batches.Count < 2)
            throw new ArgumentException(
                $"There are {batches.Count} batches with terms; the noise of a gradient needs at least two.",
                nameof(objective)
            );
        return new(
            Estimate.Jackknife(batches.Count, i => Parts(i).Covariance / Parts(i).Gradient),
            Estimate.Jackknife(batches.Count, i => Parts(i).Gradient),
            Estimate.Jackknife(batches.Count, i => Parts(i).Covariance)
        );

        (double Gradient, double Covariance) Parts(int? left)
        {
            var used = batches.Where((_, i) => i != left).ToList();
            double n = used.Sum(b => b.Terms),
                perSmall = used.Average(b => 1 / b.Terms),
                small = used.Average(b => b.Square / (b.Terms * b.Terms));
            double big = (left is { } i ? whole - 2 * batches[i].Along + batches[i].Square : whole) / (n * n);
            double covariance = used.Count < 2 ? double.NaN : (small - big) / (perSmall - 1 / n);
            return (big - covariance / n, covariance);
        }
    }
}
