using Amari.Jets;
using Amari.LeastSquares;
using Amari.Native;

namespace Amari.Verification;

/// <summary>Derivatives of a solution with respect to its inputs by reverse mode, again and again: the oracle of jets.</summary>
internal static class NestedDerivatives
{
    /// <summary>The components of a jet, [C, n, out], with a graph to the parameters.</summary>
    /// <param name="solution">u; of it, only values are taken.</param>
    /// <param name="points">[n, d].</param>
    /// <param name="spec">Which derivatives.</param>
    public static Tensor Components(JetNetwork solution, Tensor points, JetSpec spec)
    {
        var x = points.detach().clone().requires_grad_();
        var u = solution.At(x, JetSpec.Value(spec.Dimensions)).Stack[0];
        Tensor[] first = [.. spec.First.Select(i => Derivative(u, x, i))];
        List<Tensor> parts = [u, .. first];
        for (int p = 0; p < spec.Left.Length; p++)
            parts.Add(Derivative(first[spec.Left[p]], x, spec.First[spec.Right[p]]));
        if (spec.Summed.Length > 0)
            parts.Add(spec.Summed.Select(p => Derivative(first[p], x, spec.First[p])).Aggregate((a, b) => a + b));
        return stack(parts);
    }

    /// <summary>The model's outputs, [n, 1], with derivatives of u by nested reverse mode; with a graph.</summary>
    /// <param name="model">The problem.</param>
    /// <param name="rows">As the model takes them.</param>
    public static Tensor Residuals(PdeModel model, Tensor rows)
    {
        var output = zeros(rows.shape[0], 1, dtype: rows.dtype, device: rows.device);
        foreach (var (term, places) in Terms(model, rows))
        {
            var points = rows.narrow(1, 0, model.Dimensions).index_select(0, places);
            using Jet u = new(term.Spec, Components(model.Solution, points, term.Spec));
            var r = term.Residual(u, points).reshape(-1, 1) * Math.Sqrt(term.Weight);
            output = output.index_add(0, places, r, 1);
        }
        return output;
    }

    /// <summary>The terms that rows have, with the places of their rows.</summary>
    public static IEnumerable<(ResidualTerm Term, Tensor Places)> Terms(PdeModel model, Tensor rows)
    {
        for (int t = 0; t < model.Terms.Count; t++)
        {
            var places = rows.select(1, model.Dimensions).eq(t).nonzero().reshape(-1);
            if (places.shape[0] > 0)
                yield return (model.Terms[t], places);
        }
    }

    /// <summary>∂ᵢ of every column of u: [n, out].</summary>
    private static Tensor Derivative(Tensor u, Tensor x, int i) =>
        cat(
            [
                .. u.unbind(1)
                    .Select(column =>
                        column.requires_grad && ReverseMode.Derivative([column.sum()], [x], createGraph: true)[0] is { } g
                            ? g.narrow(1, i, 1)
                            : zeros(x.shape[0], 1, dtype: x.dtype, device: x.device)
                    ),
            ],
            1
        );
}
