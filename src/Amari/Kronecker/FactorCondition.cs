using Amari.Kronecker;
using Amari.Solvers;
using Amari.Spectrum;

namespace Amari;

/// <summary>Condition numbers of one layer's Kronecker factors: κ = λ_max / λ_min, infinite where λ_min is rounding error. Of a grouped
/// layer, the worst group's.</summary>
/// <param name="Layer">The layer's name in the model.</param>
/// <param name="A">κ(A).</param>
/// <param name="G">κ(G).</param>
/// <param name="Damped">κ of what the step is multiplied by the inverse of: (A + π√λ I) ⊗ (G + √λ/π I), or A ⊗ G + λ I in the eigenbasis,
/// with its eigenvalues as corrected for EKFAC.</param>
public sealed record FactorCondition(string Layer, double A, double G, double Damped)
{
    private const long MostDense = 1000; // larger factors: Lanczos

    internal static FactorCondition Of(KroneckerBlock block, DampingSettings settings)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        double damping = block.Damping(settings),
            root = Math.Sqrt(damping),
            worstA = 0,
            worstG = 0,
            worst = 0;
        var (all, allG) = (block.A!, block.G!);
        var a = all.dim() == 1 ? all.unsqueeze(0) : all.reshape(-1, all.shape[^2], all.shape[^1]); // an embedding's is its diagonal
        var g = allG.reshape(-1, allG.shape[^2], allG.shape[^1]);
        for (long i = 0; i < a.shape[0]; i++)
        {
            var (lowA, highA, meanA) = Ends(a[i]);
            var (lowG, highG, meanG) = Ends(g[i]);
            double pi = Math.Sqrt(meanA / meanG);
            if (!double.IsFinite(pi) || pi == 0)
                pi = 1;
            double damped =
                settings.Method != DampingMethod.FactoredTikhonov
                    ? (highA * highG + damping) / (lowA * lowG + damping)
                    : (highA + pi * root) / (lowA + pi * root) * ((highG + root / pi) / (lowG + root / pi));
            (worstA, worstG, worst) = (Math.Max(worstA, highA / lowA), Math.Max(worstG, highG / lowG), Math.Max(worst, damped));
        }
        if (settings.Method == DampingMethod.Ekfac && block.Inverse is CorrectedInverse corrected)
        {
            var ends = corrected.Eigenvalues.flatten(-2).aminmax(-1);
            worst = ((ends.max + damping) / (ends.min.clamp_min(0) + damping)).max().ToDouble();
        }
        return new(block.Name, worstA, worstG, worst);
    }

    /// <summary>The smallest eigenvalue (0 where it is rounding error), the largest, and their mean.</summary>
    private static (double Low, double High, double Mean) Ends(Tensor factor)
    {
        if (factor.dim() == 1)
            return (factor.min().ToDouble(), factor.max().ToDouble(), factor.mean().ToDouble());
        double low,
            high,
            rounding,
            mean = factor.diagonal().mean().ToDouble();
        if (factor.shape[0] <= MostDense)
        {
            var values = linalg.eigvalsh(factor);
            (low, high) = (values[0].ToDouble(), values[-1].ToDouble());
            rounding = factor.shape[0] * finfo(factor.dtype).eps * high;
        }
        else
        {
            using var pairs = Lanczos.Run(
                LinearOperator.FromDense(factor),
                new()
                {
                    Count = 1,
                    End = SpectrumEnd.Both,
                    Vectors = false,
                    MaxProducts = 200,
                }
            );
            if (pairs.Values.Count < 2)
                return (double.NaN, double.NaN, mean);
            (low, high, rounding) = (pairs.Values[1], pairs.Values[0], pairs.Residuals[1]);
        }
        return (low > rounding ? low : 0, high, mean);
    }
}
