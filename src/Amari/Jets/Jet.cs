namespace Amari.Jets;

/// <summary>A function of x : [d] with some of its derivatives at n points, as its <see cref="JetSpec"/> says.</summary>
/// <remarks>Sums, products and functions of jets are jets, by the rules of differentiation: so a solution may be composed of a network and
/// known functions of x. What is computed has a graph, so that losses made of derivatives are differentiable in the parameters.
/// <code>
/// f(z):  value f(z),  first f'(z) zᵢ,  second f''(z) Σ wᵢⱼ zᵢ zⱼ + f'(z) z_c
/// </code>for a component c = Σ wᵢⱼ ∂ᵢ∂ⱼ of second order.</remarks>
public sealed class Jet : IDisposable
{
    private Tensor[]? _parts;

    internal Jet(JetSpec spec, Tensor stack) => (Spec, Stack) = (spec, stack);

    /// <summary>Which derivatives it has.</summary>
    public JetSpec Spec { get; }

    /// <summary>All components, [C, n, features]: the value, first derivatives by axis, second derivatives by axes, the
    /// Laplacian.</summary>
    public Tensor Stack { get; }

    /// <summary>u : [n, features]. Owned by the jet, as the derivatives are.</summary>
    public Tensor Value => Part(0);

    /// <summary>∂ᵢu : [n, features].</summary>
    /// <exception cref="InvalidOperationException">The spec does not have it.</exception>
    public Tensor D(int i) => Part(Spec.IndexOf(i));

    /// <summary>∂ᵢ∂ⱼu : [n, features].</summary>
    /// <exception cref="InvalidOperationException">The spec does not have it.</exception>
    public Tensor D(int i, int j) => Part(Spec.IndexOf(i, j));

    /// <summary>Σ ∂ᵢ²u over the axes of the spec's Laplacian: [n, features].</summary>
    /// <exception cref="InvalidOperationException">The spec does not have it.</exception>
    public Tensor Laplacian => Part(Spec.IndexOfLaplacian);

    /// <summary>One feature: [n, 1] as [n, features] has it.</summary>
    /// <param name="feature">Its index.</param>
    public Jet this[int feature] => new(Spec, Stack.narrow(2, feature, 1));

    /// <summary>The sum over features, [n, 1].</summary>
    public Jet Sum() => new(Spec, Stack.sum([2L], keepdim: true));

    /// <summary>f(u), elementwise.</summary>
    /// <param name="derivatives">z → f(z), f'(z) and f''(z), each shaped as z, in operations that autograd can differentiate.</param>
    public Jet Map(Func<Tensor, (Tensor Value, Tensor First, Tensor Second)> derivatives)
    {
        ArgumentNullException.ThrowIfNull(derivatives);
        int k = Spec.First.Length,
            m = Spec.SecondCount;
        if (k == 0)
            return new(Spec, derivatives(Stack).Value);
        if (m == 0)
        {
            var pair = Stack.split([1L, k], 0);
            var (f0, f1, _) = derivatives(pair[0]);
            return new(Spec, cat([f0, f1 * pair[1]]));
        }
        var z = Stack.split([1L, k, m], 0);
        var (value, first, second) = derivatives(z[0]);
        return new(Spec, cat([value, first * z[1], second * Forms(z[1], z[1]) + first * z[2]]));
    }

    /// <summary>u + v.</summary>
    public static Jet operator +(Jet u, Jet v) => new(Common(u, v), u.Stack + v.Stack);

    /// <summary>u - v.</summary>
    public static Jet operator -(Jet u, Jet v) => new(Common(u, v), u.Stack - v.Stack);

    /// <summary>u + a.</summary>
    public static Jet operator +(Jet u, double a) => new(NotNull(u).Spec, cat([u.Stack.narrow(0, 0, 1) + a, .. u.Rest()]));

    /// <summary>u - a.</summary>
    public static Jet operator -(Jet u, double a) => u + -a;

    /// <summary>a - u.</summary>
    public static Jet operator -(double a, Jet u) => -1 * u + a;

    /// <summary>a u.</summary>
    public static Jet operator *(double a, Jet u) => new(NotNull(u).Spec, u.Stack * a);

    /// <summary>u v, elementwise: ∂ᵢ(u v) = u ∂ᵢv + v ∂ᵢu.</summary>
    public static Jet operator *(Jet u, Jet v)
    {
        var spec = Common(u, v);
        int k = spec.First.Length,
            m = spec.SecondCount;
        if (k == 0)
            return new(spec, u.Stack * v.Stack);
        Tensor[] p = u.Stack.split([1L, .. m > 0 ? (long[])[k, m] : [k]], 0),
            q = v.Stack.split([1L, .. m > 0 ? (long[])[k, m] : [k]], 0);
        Tensor Rule(int i) => p[0] * q[i] + q[0] * p[i];
        Tensor[] parts = [p[0] * q[0], Rule(1)];
        if (m > 0)
            parts = [.. parts, Rule(2) + (u.Forms(p[1], q[1]) + u.Forms(q[1], p[1]))];
        return new(spec, cat(parts));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var part in _parts ?? [])
            part.Dispose();
        Stack.Dispose();
    }

    /// <summary>u less a constant for each feature.</summary>
    internal Jet Less(Tensor constants) => new(Spec, cat([Stack.narrow(0, 0, 1) - constants, .. Rest()]));

    /// <summary>Moves it out of the present dispose scope.</summary>
    internal Jet MoveToOuterDisposeScope()
    {
        Stack.MoveToOuterDisposeScope();
        return this;
    }

    private Tensor Part(int component)
    {
        if (_parts is null)
        {
            _parts = Stack.unbind(0);
            foreach (var part in _parts)
                part.DetachFromDisposeScope();
        }
        return _parts[component];
    }

    /// <summary>All components but the value; empty if there are none.</summary>
    private Tensor[] Rest() => Spec.Components == 1 ? [] : [Stack.narrow(0, 1, Spec.Components - 1)];

    /// <summary>Σ wᵢⱼ aᵢ bⱼ of every component of second order: [m, ..] from first derivatives [k, ..].</summary>
    private Tensor Forms(Tensor a, Tensor b)
    {
        Tensor? pairs = Spec.Left.Length == 0 ? null : Products(Spec.Left, Spec.Right);
        if (Spec.Summed.Length == 0)
            return pairs!;
        var sum = Products(Spec.Summed, Spec.Summed).sum([0L], keepdim: true);
        return pairs is null ? sum : cat([pairs, sum]);

        Tensor Products(int[] i, int[] j)
        {
            var left = Rows(a, i);
            return ReferenceEquals(a, b) && i.AsSpan().SequenceEqual(j) ? left.square() : left * Rows(b, j);
        }
    }

    private static Tensor Rows(Tensor z, int[] rows)
    {
        bool adjacent = rows[^1] - rows[0] == rows.Length - 1 && rows.Zip(rows.Skip(1)).All(p => p.Second == p.First + 1);
        return adjacent ? z.narrow(0, rows[0], rows.Length) : cat([.. rows.Select(r => z.narrow(0, r, 1))]);
    }

    private static JetSpec Common(Jet u, Jet v) =>
        ReferenceEquals(NotNull(u).Spec, NotNull(v).Spec)
            ? u.Spec
            : throw new ArgumentException($"Jets of different specs cannot be joined: one has {u.Spec}, the other {v.Spec}.", nameof(v));

    private static Jet NotNull(Jet u)
    {
        ArgumentNullException.ThrowIfNull(u);
        return u;
    }
}
