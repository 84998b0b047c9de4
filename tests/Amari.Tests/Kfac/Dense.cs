using Amari.Curvature;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Dense float64 curvature from per-example Jacobians: shares no code with the library.</summary>
internal static class Dense
{
    /// <summary>J of output c of every example with respect to the parameters, flattened one after the other: [n, C, d].</summary>
    public static Tensor Jacobian(nn.Module<Tensor, Tensor> model, Tensor x, IReadOnlyList<Parameter> parameters)
    {
        var rows = new List<Tensor>();
        for (long n = 0; n < x.shape[0]; n++)
        {
            var f = model.call(x.narrow(0, n, 1)).flatten();
            for (long c = 0; c < f.shape[0]; c++)
                rows.Add(cat([.. autograd.grad([f[c]], [.. parameters], retain_graph: true).Select(g => g.flatten())]).detach());
        }
        return stack(rows).reshape(x.shape[0], -1, rows[0].shape[0]);
    }

    /// <summary>Softmax Fisher of logits: diag(p) - p p'.</summary>
    public static Tensor CategoricalFisher(Tensor f)
    {
        var p = f.detach().softmax(-1).flatten();
        return diag(p) - p.unsqueeze(1).mm(p.unsqueeze(0));
    }

    /// <summary>Σ_n J_n' Λ_n J_n / N: the Fisher of the parameters.</summary>
    public static Tensor Fisher(nn.Module<Tensor, Tensor> model, Tensor x, IReadOnlyList<Parameter> parameters, Func<Tensor, Tensor> lambda)
    {
        var j = Jacobian(model, x, parameters);
        Tensor sum = zeros(j.shape[2], j.shape[2], dtype: ScalarType.Float64);
        for (long n = 0; n < x.shape[0]; n++)
            sum += j[n].T.mm(lambda(model.call(x.narrow(0, n, 1)))).mm(j[n]);
        return sum / x.shape[0];
    }

    /// <summary>The block of a layer with weight [out, in] (flattened by rows) and bias, as the Kronecker product G ⊗ A in that order of
    /// parameters.</summary>
    public static Tensor Kronecker(Tensor a, Tensor g, bool bias)
    {
        long n = bias ? a.shape[0] - 1 : a.shape[0],
            m = g.shape[0];
        var full = kron(g, a); // rows of the joint [W b], row-major: (out, in+1)
        if (!bias)
            return full;
        var order = Enumerable
            .Range(0, (int)m)
            .SelectMany(o => Enumerable.Range(0, (int)n).Select(i => o * (n + 1) + i))
            .Concat(Enumerable.Range(0, (int)m).Select(o => o * (n + 1) + n))
            .ToArray();
        var index = tensor(order);
        return full.index_select(0, index).index_select(1, index);
    }

    public static double RelativeError(Tensor actual, Tensor expected) => ((actual - expected).norm() / expected.norm()).ToDouble();
}
