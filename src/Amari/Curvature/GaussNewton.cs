using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>The generalised Gauss-Newton matrix E[ J' B J ] of an objective (Schraudolph 2002), never formed; J the Jacobian of the model's
/// output f, B the Hessian of -log p(y | f) with respect to f.</summary>
/// <remarks><code>
/// t = J v            by double backward: J v = ∂/∂u ⟨ J'u, v ⟩, linear in u
/// C v = J' (B t)     one more backward pass
/// </code>Positive semi-definite where -log p is convex in f; then, for natural parameters, it is the exact Fisher.</remarks>
public class GaussNewton(Objective objective) : LinearOperator
{
    /// <summary>What it is the curvature of.</summary>
    public Objective Objective => objective;

    /// <inheritdoc/>
    public override long Dimension => objective.Parameters.Dimension;
    /// <inheritdoc/>
    public override ScalarType Type => objective.Parameters.Type;
    /// <inheritdoc/>
    public override Device Device => objective.Parameters.Device;

    /// <inheritdoc/>
    protected override Tensor Product(Tensor v) => Product(v, (piece, output) => t => objective.Likelihood!.HessianProduct(output, piece.Target, t));

    /// <summary>E[ J' B J ] V, with B of a batch given by its output as a map of tensors shaped as the output.</summary>
    private protected Tensor Product(Tensor v, Func<Objective.Piece, Tensor, Func<Tensor, Tensor>> metric) =>
        objective.Sum(v, piece => Columns(piece, v, metric));

    private IEnumerable<Tensor> Columns(Objective.Piece piece, Tensor v, Func<Objective.Piece, Tensor, Func<Tensor, Tensor>> metric)
    {
        _ = piece.Target;
        var layout = objective.Parameters;
        var output = piece.Output;
        if (!output.requires_grad) yield break;
        var b = metric(piece, output.detach());
        var u = zeros_like(output, requires_grad: true);
        var transposed = objective.Derivative(output, u, createGraph: true);                    // J'u
        var used = Enumerable.Range(0, transposed.Count).Where(i => transposed[i] is { requires_grad: true }).ToList();
        for (long k = 0; k < v.shape[1] && used.Count > 0; k++)
        {
            using var scope = NewDisposeScope();
            var parts = layout.Split(v.select(1, k).contiguous());
            var t = autograd.grad([.. used.Select(i => transposed[i]!)], [u], [.. used.Select(i => parts[i])], retain_graph: true)[0];
            yield return layout.Flatten(objective.Derivative(output, b(t), again: true));
        }
    }
}
