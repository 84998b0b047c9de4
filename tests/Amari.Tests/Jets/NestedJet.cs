using Amari.Jets;
using Amari.Native;

namespace Amari.Tests.Jets;

/// <summary>Derivatives of a function with respect to its inputs by nested autograd: shares no code with jets.</summary>
internal static class NestedJet
{
    /// <summary>u : [n, out] with a graph, and the points that it hangs from.</summary>
    public static (Tensor U, Tensor X) At(Func<Tensor, Tensor> u, Tensor points)
    {
        var x = points.detach().clone().requires_grad_();
        return (u(x), x);
    }

    /// <summary>∂ᵢ of every column of u: [n, out].</summary>
    public static Tensor D(Tensor u, Tensor x, int i) =>
        cat(
            [
                .. Enumerable
                    .Range(0, (int)u.shape[1])
                    .Select(o =>
                        u.requires_grad && ReverseMode.Derivative([u.select(1, o).sum()], [x], createGraph: true)[0] is { } g
                            ? g.narrow(1, i, 1)
                            : zeros(x.shape[0], 1, dtype: x.dtype)
                    ),
            ],
            1
        );

    /// <summary>All components of a spec, [C, n, out], in the order of a jet's.</summary>
    public static Tensor Stack(Func<Tensor, Tensor> function, Tensor points, JetSpec spec)
    {
        var (u, x) = At(function, points);
        List<Tensor> parts = [u];
        parts.AddRange(spec.First.Select(i => D(u, x, i)));
        for (int p = 0; p < spec.Left.Length; p++)
            parts.Add(D(parts[1 + spec.Left[p]], x, spec.First[spec.Right[p]]));
        if (spec.Summed.Length > 0)
            parts.Add(spec.Summed.Select(p => D(parts[1 + p], x, spec.First[p])).Aggregate((a, b) => a + b));
        return stack(parts);
    }
}
