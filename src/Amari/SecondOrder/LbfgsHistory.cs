using Amari.Kernels;
using Amari.Native;

namespace Amari.SecondOrder;

/// <summary>The pairs that L-BFGS knows the curvature from, and its two-loop recursion (Nocedal and Wright 2006, Algorithm 7.4).</summary>
/// <remarks><code>
/// s = w₊ - w,   y = g₊ - g,   ρ = 1 / s'y        of one and the same loss
/// H₀ = γ I,   γ = s'y / y'y                      of the last pair
/// </code>A pair is kept if s'y is above the rounding error of its terms; else it says nothing of a positive definite curvature.</remarks>
internal sealed class LbfgsHistory : IDisposable
{
    private readonly List<(Tensor S, Tensor Y)> _pairs = [];

    /// <summary>How many pairs there are.</summary>
    public int Count => _pairs.Count;

    /// <summary>Bytes held.</summary>
    public long Bytes => _pairs.Sum(p => 2 * p.S.numel() * p.S.ElementSize);

    /// <summary>Remembers a pair, which it takes over, and forgets the oldest above <paramref name="most"/>.</summary>
    /// <returns>Whether it could be used; if not, it is disposed.</returns>
    public bool Add(Tensor s, Tensor y, int most)
    {
        var product = InnerProducts.Of(s, y);
        double rounding = finfo(s.dtype).eps * Math.Sqrt(product.AA) * Math.Sqrt(product.BB);
        bool usable = product.AB > rounding && double.IsFinite(product.AA + product.BB);
        if (usable)
            _pairs.Add((s.DetachFromDisposeScope(), y.DetachFromDisposeScope()));
        else
        {
            s.Dispose();
            y.Dispose();
        }
        Trim(most);
        return usable;
    }

    /// <summary>Forgets the oldest pairs above <paramref name="most"/>.</summary>
    public void Trim(int most)
    {
        while (Count > most)
            Forget(0);
    }

    /// <summary>-H g, which the caller owns.</summary>
    public Tensor Direction(Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var q = gradient.neg();
        double[] alpha = new double[Count],
            rho = new double[Count];
        double scale = 1;
        for (int i = Count - 1; i >= 0; i--)
        {
            var (s, y) = _pairs[i];
            var p = InnerProducts.Of(s, y, q);
            if (i == Count - 1)
                scale = p.AB / p.BB;
            (rho[i], alpha[i]) = (p.AB, p.AC / p.AB);
            q.add_(y, alpha: -alpha[i]);
        }
        q.mul_(scale);
        for (int i = 0; i < Count; i++)
        {
            var (s, y) = _pairs[i];
            q.add_(s, alpha: alpha[i] - InnerProducts.Of(y, q).AB / rho[i]);
        }
        return q.MoveToOuterDisposeScope();
    }

    /// <summary>Moves the pairs to a dtype and device.</summary>
    public void To(ScalarType type, Device device)
    {
        for (int i = 0; i < Count; i++)
        {
            var (s, y) = _pairs[i];
            if (s.dtype == type && Native.TensorDevice.IsOn(s, device))
                continue;
            _pairs[i] = (s.to(type, device).DetachFromDisposeScope(), y.to(type, device).DetachFromDisposeScope());
            s.Dispose();
            y.Dispose();
        }
    }

    /// <summary>The pairs by name, the oldest first; they alias the live ones.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors =>
        _pairs.SelectMany((p, i) => new[] { (Name("S", i), p.S), (Name("Y", i), p.Y) });

    /// <summary>The pairs of a snapshot, copied.</summary>
    /// <exception cref="InvalidDataException">A pair is incomplete or has not <paramref name="dimension"/> numbers.</exception>
    public static LbfgsHistory Of(IReadOnlyDictionary<string, Tensor> tensors, long dimension)
    {
        var saved = new List<(Tensor S, Tensor Y)>();
        for (int i = 0; tensors.TryGetValue(Name("S", i), out var s); i++)
        {
            if (!tensors.TryGetValue(Name("Y", i), out var y))
                throw new InvalidDataException($"'{Name("S", i)}' is there without '{Name("Y", i)}'.");
            foreach (var (name, t) in new[] { (Name("S", i), s), (Name("Y", i), y) })
                if (t.dim() != 1 || t.shape[0] != dimension)
                    throw new InvalidDataException($"'{name}' has the shape [{string.Join(", ", t.shape)}], expected [{dimension}].");
            saved.Add((s, y));
        }
        var history = new LbfgsHistory();
        foreach (var (s, y) in saved)
            history._pairs.Add((s.clone().DetachFromDisposeScope(), y.clone().DetachFromDisposeScope()));
        return history;
    }

    /// <summary>Forgets all pairs.</summary>
    public void Dispose()
    {
        while (Count > 0)
            Forget(Count - 1);
    }

    private static string Name(string letter, int index) => FormattableString.Invariant($"{letter}.{index}");

    private void Forget(int index)
    {
        _pairs[index].S.Dispose();
        _pairs[index].Y.Dispose();
        _pairs.RemoveAt(index);
    }
}
