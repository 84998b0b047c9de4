using System.Text.Json.Nodes;

namespace Amari.Optimizers;

/// <summary>A bound on how much longer a step may be than the steps before it.</summary>
/// <remarks><code>
/// p = ⟨U, V⟩ = V' (F + λ)⁻¹ V       the squared length of a direction in the metric of the curvature, without the learning rate
/// ν = min(1, √(κ p̄ / p))            the factor of the direction
/// p̄ ← β p̄ + (1 - β) ν² p           at the k-th step with min(1 - 1/k, β)
/// </code>The KL clip bounds a step by the Fisher where it starts. A network that has fitted its data has saturated outputs: there the
/// Fisher is all but zero, and it grows along the step, so that no bound by
/// it holds; the gradient of one unusual batch is then ten thousand times the usual one. The lengths of earlier steps know what is usual.
/// p̄ grows by a factor of 1 + (1 - β)(κ - 1) a step at most. Five cuts one after another are no outlier but a change, as of data that come
/// after others were fitted: from the sixth on, p̄ first grows by up to 4, the length by 2, so that a length of a million times is reached
/// in about twenty steps. Clipping against running statistics: AdaGC (arXiv:2502.11034), ZClip (arXiv:2504.02507).</remarks>
internal sealed class GrowthBound
{
    private const double Decay = 0.95,
        HardCut = 0.5,
        Pursuit = 4; // of the mean, once a change lasts
    private const int Lasting = 5, // cuts
        Notable = 50;

    /// <summary>p̄; null before the first step.</summary>
    public double? Mean { get; private set; }

    /// <summary>How many steps the mean is of.</summary>
    public long Count { get; private set; }

    /// <summary>How many steps one after another were cut, up to the last.</summary>
    public long Cuts { get; private set; }

    /// <summary>ν for a direction of squared length <paramref name="square"/>; takes it into the mean.</summary>
    /// <param name="square">p; what is not positive has no length to bound.</param>
    /// <param name="growth">κ > 1; null for no bound.</param>
    public double Scale(double square, double? growth)
    {
        if (!(square > 0))
            return 1;
        if (Cuts >= Lasting && growth is { } bound && Mean is { } last)
            Mean = Math.Max(last, Math.Min(Pursuit * last, square / bound));
        double most = Mean is { } mean && growth is { } κ ? κ * mean : double.PositiveInfinity,
            bounded = Math.Min(square, most);
        Count++;
        Mean = Mean is { } old ? old + Math.Max(1.0 / Count, 1 - Decay) * (bounded - old) : bounded;
        Cuts = bounded < square ? Cuts + 1 : 0;
        return bounded < square ? Math.Sqrt(bounded / square) : 1;
    }

    /// <summary>Whether a cut is so deep that the curvature of the last measurement can hardly be that of this batch.</summary>
    public static bool IsHard(double scale) => scale < HardCut;

    /// <summary>Whether so many steps one after another were cut that lengths must grow without end: at the first such step.</summary>
    public bool IsOutrun => Cuts == Notable;

    /// <summary>What continues it.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["mean"] = Mean,
            ["count"] = Count,
            ["cuts"] = Cuts,
        };

    /// <summary>Continues from <see cref="ToJson"/>; from nothing, it begins.</summary>
    public void Restore(JsonNode? saved) =>
        (Mean, Count, Cuts) = ((double?)saved?["mean"], (long?)saved?["count"] ?? 0, (long?)saved?["cuts"] ?? 0);
}
