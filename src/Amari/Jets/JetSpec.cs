using Amari.Native;

namespace Amari.Jets;

/// <summary>Which derivatives with respect to the inputs x : [d] a <see cref="Jet"/> has: the value, first derivatives ∂ᵢ, second
/// derivatives ∂ᵢ∂ⱼ, and the Laplacian Σ ∂ᵢ² over all or some axes. Immutable, and equal to another of the same derivatives.</summary>
/// <remarks>Every derivative is one component, and a pass costs as much as a forward pass with as many times the examples. A Laplacian is
/// a single component, whatever the number of its axes (the forward Laplacian, Li et al. 2023, arXiv:2307.08214). A second derivative
/// needs the first ones of its axes, so it includes them.
/// <code>
/// JetSpec.Value(2).With(0).With(1, 1)      u, ∂₀u, ∂₁u and ∂₁²u: four components
/// JetSpec.Laplacian(5)                     u, ∂₀u .. ∂₄u and Δu: seven components
/// </code></remarks>
public sealed class JetSpec : IEquatable<JetSpec>
{
    private readonly (int I, int J)[] _pairs;
    private readonly int[] _laplacian;

    private JetSpec(int dimensions, IEnumerable<int> first, IEnumerable<(int I, int J)> pairs, int[] laplacian)
    {
        Dimensions = dimensions;
        _pairs = [.. pairs.Distinct().Order()];
        _laplacian = laplacian;
        First = [.. first.Concat(_pairs.SelectMany(p => (int[])[p.I, p.J])).Concat(laplacian).Distinct().Order()];
        Left = [.. _pairs.Select(p => Array.IndexOf(First, p.I))];
        Right = [.. _pairs.Select(p => Array.IndexOf(First, p.J))];
        Summed = [.. laplacian.Select(i => Array.IndexOf(First, i))];
    }

    /// <summary>The value alone.</summary>
    /// <param name="dimensions">d ≥ 1, the number of inputs.</param>
    public static JetSpec Value(int dimensions) => new(Checked(dimensions), [], [], []);

    /// <summary>The value and all first derivatives.</summary>
    /// <param name="dimensions">d ≥ 1.</param>
    public static JetSpec Gradient(int dimensions) => new(Checked(dimensions), Enumerable.Range(0, dimensions), [], []);

    /// <summary>The value, all first derivatives and the Laplacian over all axes.</summary>
    /// <param name="dimensions">d ≥ 1.</param>
    public static JetSpec Laplacian(int dimensions) => Value(dimensions).WithLaplacian();

    /// <summary>The value, all first and all second derivatives.</summary>
    /// <param name="dimensions">d ≥ 1.</param>
    public static JetSpec Hessian(int dimensions) =>
        new(
            Checked(dimensions),
            [],
            Enumerable.Range(0, dimensions).SelectMany(i => Enumerable.Range(i, dimensions - i).Select(j => (i, j))),
            []
        );

    /// <summary>The same and ∂ᵢ.</summary>
    /// <param name="i">0 ≤ i &lt; d.</param>
    public JetSpec With(int i) => new(Dimensions, [.. First, Axis(i)], _pairs, _laplacian);

    /// <summary>The same and ∂ᵢ∂ⱼ.</summary>
    /// <param name="i">0 ≤ i &lt; d.</param>
    /// <param name="j">0 ≤ j &lt; d.</param>
    public JetSpec With(int i, int j) => new(Dimensions, First, [.. _pairs, (Math.Min(Axis(i), Axis(j)), Math.Max(i, j))], _laplacian);

    /// <summary>The same and the Laplacian over these axes, in place of one that it may have.</summary>
    /// <param name="axes">Different axes, each in [0, d); none for all.</param>
    public JetSpec WithLaplacian(params int[] axes)
    {
        ArgumentNullException.ThrowIfNull(axes);
        int[] sorted = axes.Length == 0 ? [.. Enumerable.Range(0, Dimensions)] : [.. axes.Select(Axis).Distinct().Order()];
        return sorted.Length == axes.Length || axes.Length == 0
            ? new(Dimensions, First, _pairs, sorted)
            : throw new ArgumentException($"The axes {string.Join(", ", axes)} must be different.", nameof(axes));
    }

    /// <summary>d: the number of inputs.</summary>
    public int Dimensions { get; }

    /// <summary>C: the number of components, with the value.</summary>
    public int Components => 1 + First.Length + SecondCount;

    /// <summary>Whether it says the same derivatives of as many inputs.</summary>
    public bool Equals(JetSpec? other) =>
        other is not null
        && Dimensions == other.Dimensions
        && First.AsSpan().SequenceEqual(other.First)
        && _pairs.AsSpan().SequenceEqual(other._pairs)
        && _laplacian.AsSpan().SequenceEqual(other._laplacian);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as JetSpec);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Dimensions, ToString());

    /// <inheritdoc/>
    public override string ToString() =>
        string.Join(
            ", ",
            [
                "value",
                .. First.Select(i => $"D({i})"),
                .. _pairs.Select(p => $"D({p.I}, {p.J})"),
                .. _laplacian.Length == 0 ? (string[])[] : [$"Laplacian({string.Join(", ", _laplacian)})"],
            ]
        );

    /// <summary>The axes of first derivatives in order: components 1 to k. Second derivatives follow by axes, then the
    /// Laplacian.</summary>
    internal int[] First { get; }

    /// <summary>Of each second derivative ∂ᵢ∂ⱼ the place of i in <see cref="First"/>.</summary>
    internal int[] Left { get; }

    /// <summary>The same of j.</summary>
    internal int[] Right { get; }

    /// <summary>The places in <see cref="First"/> of the Laplacian's axes; empty without one.</summary>
    internal int[] Summed { get; }

    /// <summary>The number of components of second order.</summary>
    internal int SecondCount => Left.Length + (Summed.Length > 0 ? 1 : 0);

    internal int IndexOf(int i) => Found(Array.IndexOf(First, Axis(i)), 1, $"D({i})", $"With({i})");

    internal int IndexOf(int i, int j) =>
        Found(Array.IndexOf(_pairs, (Math.Min(Axis(i), Axis(j)), Math.Max(i, j))), 1 + First.Length, $"D({i}, {j})", $"With({i}, {j})");

    internal int IndexOfLaplacian => Found(Summed.Length > 0 ? Left.Length : -1, 1 + First.Length, "no Laplacian", "WithLaplacian()");

    private int Found(int place, int offset, string what, string remedy) =>
        place >= 0
            ? place + offset
            : throw new InvalidOperationException(
                $"The jet has {(what.StartsWith("no ", StringComparison.Ordinal) ? what : "no " + what)}, only {this}: "
                    + $"ask for it by {remedy} of its JetSpec."
            );

    private static int Checked(int dimensions) => Require.AtLeast(1, dimensions, nameof(dimensions));

    private int Axis(int i) => i >= 0 && i < Dimensions ? i : throw Require.Error("axis", i, $"in [0, {Dimensions})");
}
