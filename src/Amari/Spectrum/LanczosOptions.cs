using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>Which eigenpairs <see cref="Lanczos"/> computes, and how accurately.</summary>
public sealed record LanczosOptions
{
    /// <summary>Number of pairs at each end, ≥ 1 (at most d).</summary>
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

    /// <summary>Maximum residual of a converged pair, relative to the largest |eigenvalue| found; > 0. The rounding error of the operator's
    /// dtype is a lower bound.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-4;

    /// <summary>m: the number of vectors in memory (plus one), at least the pairs + 2. The default is twice the pairs + 20.</summary>
    public int? BasisSize
    {
        get;
        init => field = value is { } size ? Require.AtLeast(1, size) : null;
    }

    /// <summary>Maximum number of products, ≥ 1. It then returns the pairs found so far.</summary>
    public int MaxProducts
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 1000;

    /// <summary>Whether eigenvectors are computed. They take memory for as many more vectors.</summary>
    public bool Vectors { get; init; } = true;

    /// <summary>Seed of the starting vector.</summary>
    public long Seed { get; init; }

    /// <summary>The starting vector, by default random: [d], finite and not 0, of the operator's dtype and device; not owned. Near the
    /// requested pairs it saves products. Pairs orthogonal to it are not found until the space it spans is exhausted: add a small random
    /// vector to it.</summary>
    public Tensor? Start { get; init; }
}

internal static class SpectrumEnds
{
    /// <summary>The indices of the count extreme ones among size ascending eigenvalues, in the order of the end.</summary>
    public static int[] Choose(this SpectrumEnd end, int size, int count) =>
        end switch
        {
            SpectrumEnd.Largest => [.. Enumerable.Range(0, count).Select(i => size - 1 - i)],
            SpectrumEnd.Smallest => [.. Enumerable.Range(0, count)],
            _ => [.. Enumerable.Range(0, size).Where(i => i < count / 2 || i >= size - (count - count / 2)).Reverse()],
        };
}
