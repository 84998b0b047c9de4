using Amari.Kernels;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>H = ∇²L of an objective, without forming it: each column is a Hessian-vector product (Pearlmutter 1994) by double
/// backward.</summary>
/// <remarks><code>
/// H v = ∇ ⟨∇L(w), v⟩
/// </code>A product with k columns takes one forward pass, one backward pass and k second backward passes.</remarks>
/// <param name="objective">L.</param>
public sealed class Hessian(Objective objective) : CurvatureOperator(objective)
{
    private protected override bool DifferentiatesCotangents => false;

    private protected override IEnumerable<IReadOnlyList<Tensor?>> Columns(
        Objective.Batch batch,
        Tensor[] parameters,
        IEnumerable<IReadOnlyList<Tensor>> directions
    )
    {
        Objective.RequireGraph();
        var gradients = Objective.Derivative(batch.Loss, null, parameters, createGraph: true);
        // The loss is not linear in these parameters.
        int[] curved = [.. Enumerable.Range(0, gradients.Count).Where(i => gradients[i] is { requires_grad: true })];
        if (curved.Length == 0)
            yield break;
        Tensor[] curvedGradients = [.. curved.Select(i => gradients[i]!)];
        foreach (var v in directions)
        {
            using var scope = NewDisposeScope();
            yield return ReverseMode.Derivative(curvedGradients, parameters, [.. curved.Select(i => v[i])], again: true);
        }
    }
}
