using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>H = ∇²L of an objective, never formed: each column is a Hessian-vector product (Pearlmutter 1994) by double backward.</summary>
/// <remarks><code>
/// H v = ∇ ⟨∇L(w), v⟩
/// </code>A product with k columns makes one forward and one backward pass, then k second ones.</remarks>
public sealed class Hessian(Objective objective) : LinearOperator
{
    /// <inheritdoc/>
    public override long Dimension => objective.Parameters.Dimension;
    /// <inheritdoc/>
    public override ScalarType Type => objective.Parameters.Type;
    /// <inheritdoc/>
    public override Device Device => objective.Parameters.Device;

    /// <inheritdoc/>
    protected override Tensor Product(Tensor v) => objective.Sum(v, piece => Columns(piece, v));

    private IEnumerable<Tensor> Columns(Objective.Piece piece, Tensor v)
    {
        var layout = objective.Parameters;
        var gradients = objective.Derivative(piece.Loss, null, createGraph: true);
        var curved = Enumerable.Range(0, gradients.Count).Where(i => gradients[i] is { requires_grad: true }).ToList();   // the loss is not linear in these
        for (long k = 0; k < v.shape[1] && curved.Count > 0; k++)
        {
            using var scope = NewDisposeScope();
            var parts = layout.Split(v.select(1, k).contiguous());
            yield return layout.Flatten(Objective.Present(autograd.grad(
                [.. curved.Select(i => gradients[i]!)], layout.Tensors, [.. curved.Select(i => parts[i])],
                retain_graph: true, allow_unused: true)));
        }
    }
}
