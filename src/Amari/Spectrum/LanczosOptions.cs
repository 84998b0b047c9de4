using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>Which eigenpairs <see cref="Lanczos"/> finds, and how exactly.</summary>
public sealed record LanczosOptions
{
    /// <summary>Pairs at each end asked for, ≥ 1 (at most d).</summary>
    public int Count
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 10;

    /// <summary>Which end of the spectrum.</summary>
    public SpectrumEnd End
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>Largest residual of a converged pair, relative to the largest |eigenvalue| seen; > 0. Rounding of the operator's dtype
    /// bounds it below.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-4;

    /// <summary>m: vectors in memory at a time (and one more), raised to two more than the pairs; by default twice the pairs and
    /// 20.</summary>
    public int? BasisSize
    {
        get;
        init => field = value is { } size ? Require.AtLeast(1, size) : null;
    }

    /// <summary>Products after which it gives what it has, ≥ 1.</summary>
    public int MaxProducts
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 1000;

    /// <summary>Whether eigenvectors are made, too: as many vectors more in memory.</summary>
    public bool Vectors { get; init; } = true;

    /// <summary>Of the starting vector.</summary>
    public long Seed { get; init; }

    /// <summary>Where to start instead of at a random vector: [d], finite and not 0, of the operator's dtype and device; not owned. Near
    /// the pairs wanted it saves products. What is orthogonal to it is not found until the space it spans is exhausted: add a little of a
    /// random vector.</summary>
    public Tensor? Start { get; init; }
}

/// <summary>Which end of a spectrum.</summary>
public enum SpectrumEnd
{
    /// <summary>The largest eigenvalues, falling.</summary>
    Largest,

    /// <summary>The smallest (most negative) eigenvalues, rising.</summary>
    Smallest,

    /// <summary>As many of the largest as of the smallest, falling.</summary>
    Both,
}

/// <summary>How <see cref="Lanczos"/> ended.</summary>
public enum LanczosStatus
{
    /// <summary>Every pair asked for has a residual below the tolerance.</summary>
    Converged,

    /// <summary>The products were used up: more of them, a larger basis or a larger tolerance may help.</summary>
    ProductLimit,

    /// <summary>It was stopped.</summary>
    Interrupted,

    /// <summary>A product was infinite or NaN; there are no pairs.</summary>
    NotFinite,
}

/// <summary>What Lanczos tells while it works.</summary>
/// <param name="Products">Done so far.</param>
/// <param name="Converged">Pairs converged at the last restart.</param>
/// <param name="Wanted">Pairs asked for.</param>
public readonly record struct LanczosProgress(int Products, int Converged, int Wanted);

/// <summary>Approximate eigenpairs. Owns its vectors.</summary>
/// <param name="Values">θ, in the order of the end asked for; fewer than asked for if it was stopped early.</param>
/// <param name="Residuals">‖C x - θ x‖ of each, at least the rounding of the dtype: an eigenvalue of C lies within it of θ.</param>
/// <param name="Vectors">[d, pairs], of length 1; null if not asked for.</param>
/// <param name="Products">How many it took.</param>
/// <param name="Status">How it ended.</param>
public sealed record Eigenpairs(
    IReadOnlyList<double> Values,
    IReadOnlyList<double> Residuals,
    Tensor? Vectors,
    int Products,
    LanczosStatus Status
) : IDisposable
{
    /// <summary>Whether every pair asked for is there, within the tolerance.</summary>
    public bool Converged => Status == LanczosStatus.Converged;

    /// <inheritdoc/>
    public void Dispose() => Vectors?.Dispose();
}

internal static class SpectrumEnds
{
    /// <summary>Which of so many ascending eigenvalues are the count extreme ones, in the order of the end.</summary>
    public static int[] Choose(this SpectrumEnd end, int size, int count) =>
        end switch
        {
            SpectrumEnd.Largest => [.. Enumerable.Range(0, count).Select(i => size - 1 - i)],
            SpectrumEnd.Smallest => [.. Enumerable.Range(0, count)],
            _ => [.. Enumerable.Range(0, size).Where(i => i < count / 2 || i >= size - (count - count / 2)).Reverse()],
        };
}
