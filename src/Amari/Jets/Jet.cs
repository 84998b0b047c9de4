namespace Amari.Jets;

/// <summary>A function of x : [d] with some of its derivatives at n points, as its <see cref="JetSpec"/> says.</summary>
/// <remarks>Sums, products and functions of jets are jets, by the rules of differentiation: so a solution may be composed of a network and
/// known functions of x. What is computed has a graph, so that losses made of derivatives are differentiable in the parameters.
/// <code>
/// f(z):  value f(z),  first f'(z) zᵢ,  second f''(z) Σ wᵢⱼ zᵢ zⱼ + f'(z) z_c
/// </code>for a component c = Σ wᵢⱼ ∂ᵢ∂ⱼ of second order.</remarks>
public sealed class Jet : IDisposable
{
    private Tensor? _stack;
    private Tensor[]? _orders,
        _components;
    private bool _isOwner; // of what it makes later

    internal Jet(JetSpec spec, Tensor stack) => (Spec, _stack) = (spec, stack);

    /// <param name="spec">Which derivatives.</param>
    /// <param name="orders">The value [1, n, features], first derivatives [k, n, features] and those of second order [m, n, features], as
    /// far as there are any; those that are the same at all points may be of one.</param>
    internal Jet(JetSpec spec, Tensor[] orders) => (Spec, _orders) = (spec, orders);

    /// <summary>x itself: rows of the identity, and zeros.</summary>
    internal static Jet Of(Tensor points, JetSpec spec)
    {
        var value = points.unsqueeze(0);
        int k = spec.First.Length,
            m = spec.SecondCount,
            d = spec.Dimensions;
        if (k == 0)
            return new(spec, [value]) { IsAffine = true };
        double[] rows = new double[k * d];
        for (int i = 0; i < k; i++)
            rows[(i * d) + spec.First[i]] = 1;
        var first = tensor(rows, [k, 1, d], dtype: points.dtype, device: points.device);
        return new(spec, m == 0 ? [value, first] : [value, first, zeros([m, 1, d], dtype: points.dtype, device: points.device)])
        {
            IsAffine = true,
        };
    }

    /// <summary>Which derivatives it has.</summary>
    public JetSpec Spec { get; }

    /// <summary>All components, [C, n, features]: the value, first derivatives by axis, second derivatives by axes, the
    /// Laplacian. Owned by the jet.</summary>
    public Tensor Stack => _stack ??= Held(Joined());

    /// <summary>u : [n, features]. Owned by the jet, as the derivatives are.</summary>
    public Tensor Value => Component(0);

    /// <summary>∂ᵢu : [n, features].</summary>
    /// <exception cref="InvalidOperationException">The spec does not have it.</exception>
    public Tensor D(int i) => Component(Spec.IndexOf(i));

    /// <summary>∂ᵢ∂ⱼu : [n, features].</summary>
    /// <exception cref="InvalidOperationException">The spec does not have it.</exception>
    public Tensor D(int i, int j) => Component(Spec.IndexOf(i, j));

    /// <summary>Σ ∂ᵢ²u over the axes of the spec's Laplacian: [n, features].</summary>
    /// <exception cref="InvalidOperationException">The spec does not have it.</exception>
    public Tensor Laplacian => Component(Spec.IndexOfLaplacian);

    /// <summary>One feature: [n, 1] as [n, features] has it.</summary>
    /// <param name="feature">Its index.</param>
    public Jet this[int feature] => Each(o => o.narrow(2, feature, 1));

    /// <summary>The sum over features, [n, 1].</summary>
    public Jet Sum() => Each(o => o.sum([2L], keepdim: true));

    /// <summary>f(u), elementwise.</summary>
    /// <param name="derivatives">z → f(z), f'(z) and f''(z), each shaped as z, in operations that autograd can differentiate.</param>
    public Jet Map(Func<Tensor, (Tensor Value, Tensor First, Tensor Second)> derivatives)
    {
        ArgumentNullException.ThrowIfNull(derivatives);
        var z = Orders;
        var (value, first, second) = derivatives(z[0]);
        return z.Length switch
        {
            1 => new(Spec, [value]),
            2 => new(Spec, [value, first * z[1]]),
            _ when IsAffine => new(Spec, [value, first * z[1], second * Forms(z[1], z[1])]),
            _ => new(Spec, [value, first * z[1], (first * z[2]).addcmul(second, Forms(z[1], z[1]), 1)]),
        };
    }

    /// <summary>u + v.</summary>
    public static Jet operator +(Jet u, Jet v) => Joined(u, v, (a, b) => a + b);

    /// <summary>u - v.</summary>
    public static Jet operator -(Jet u, Jet v) => Joined(u, v, (a, b) => a - b);

    /// <summary>u + a.</summary>
    public static Jet operator +(Jet u, double a) => NotNull(u).WithValue(u.Orders[0] + a);

    /// <summary>u - a.</summary>
    public static Jet operator -(Jet u, double a) => u + -a;

    /// <summary>a - u.</summary>
    public static Jet operator -(double a, Jet u) => -1 * u + a;

    /// <summary>a u.</summary>
    public static Jet operator *(double a, Jet u) => NotNull(u).Each(o => o * a);

    /// <summary>u v, elementwise: ∂ᵢ(u v) = u ∂ᵢv + v ∂ᵢu.</summary>
    public static Jet operator *(Jet u, Jet v)
    {
        var spec = Common(u, v);
        Tensor[] p = u.Orders,
            q = v.Orders;
        Tensor Rule(int i) => p[0] * q[i] + q[0] * p[i];
        return p.Length switch
        {
            1 => new(spec, [p[0] * q[0]]),
            2 => new(spec, [p[0] * q[0], Rule(1)]),
            _ => new(spec, [p[0] * q[0], Rule(1), Rule(2) + (u.Forms(p[1], q[1]) + u.Forms(q[1], p[1]))]),
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var t in (Tensor?[])[.. _components ?? [], .. _orders ?? [], _stack])
            t?.Dispose();
    }

    /// <summary>Whether it is an affine function of x, so that first derivatives are the same at all points and others zero.</summary>
    internal bool IsAffine { get; init; }

    /// <summary>The components by order of derivatives, as the constructor takes them.</summary>
    internal Tensor[] Orders
    {
        get
        {
            if (_orders is not null)
                return _orders;
            int k = Spec.First.Length,
                m = Spec.SecondCount;
            _orders = k == 0 ? [_stack!.alias()] : _stack!.split(m == 0 ? [1L, k] : [1L, k, m], 0);
            foreach (var order in _orders)
                Held(order);
            return _orders;
        }
    }

    /// <summary>The same with another value.</summary>
    internal Jet WithValue(Tensor value) => new(Spec, [value, .. Orders[1..].Select(o => o.alias())]) { IsAffine = IsAffine };

    /// <summary>A linear map of features, applied to every order.</summary>
    internal Jet Each(Func<Tensor, Tensor> map) =>
        _orders is null ? new(Spec, map(_stack!)) : new(Spec, [.. _orders.Select(map)]) { IsAffine = IsAffine };

    /// <summary>Moves it out of the present dispose scope.</summary>
    internal Jet MoveToOuterDisposeScope()
    {
        foreach (var t in (Tensor?[])[.. _components ?? [], .. _orders ?? [], _stack])
            t?.MoveToOuterDisposeScope();
        _isOwner = true;
        return this;
    }

    private Tensor Held(Tensor t) => _isOwner ? t.DetachFromDisposeScope() : t;

    private Tensor Joined()
    {
        long n = _orders![0].shape[1];
        return cat([.. _orders.Select(o => o.shape[1] == n ? o : o.expand(-1, n, -1))]);
    }

    private static Jet Joined(Jet u, Jet v, Func<Tensor, Tensor, Tensor> linear)
    {
        var spec = Common(u, v);
        return (u._orders ?? v._orders) is null
            ? new(spec, linear(u.Stack, v.Stack))
            : new(spec, [.. u.Orders.Zip(v.Orders, linear)]) { IsAffine = u.IsAffine && v.IsAffine };
    }

    private Tensor Component(int component)
    {
        if (_components is null)
        {
            long n = Orders[0].shape[1];
            _components = [.. Orders.SelectMany(o => (o.shape[1] == n ? o : o.expand(-1, n, -1)).unbind(0))];
            foreach (var part in _components)
                Held(part);
        }
        return _components[component];
    }

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
        NotNull(u).Spec.Equals(NotNull(v).Spec)
            ? u.Spec
            : throw new ArgumentException($"Jets of different specs cannot be joined: one has {u.Spec}, the other {v.Spec}.", nameof(v));

    private static Jet NotNull(Jet u)
    {
        ArgumentNullException.ThrowIfNull(u);
        return u;
    }
}
