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
