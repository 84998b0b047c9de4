namespace Amari.Curvature;

/// <summary>The generalised Gauss-Newton matrix E[ J' B J ] of an objective (Schraudolph 2002), never formed; J the Jacobian of the model's
/// output f, B the Hessian of -log p(y | f) with respect to f.</summary>
/// <remarks><code>
/// t = J v            by double backward: J v = ∂/∂u ⟨ J'u, v ⟩, linear in u
/// C v = J' (B t)     one more backward pass
/// </code>Positive semi-definite where -log p is convex in f; then, for natural parameters, it is the exact Fisher.</remarks>
public class GaussNewton : CurvatureOperator
{
    /// <param name="objective">With a likelihood.</param>
    /// <exception cref="ArgumentException">A plain function has no output.</exception>
    public GaussNewton(Objective objective) : base(objective) =>
        Likelihood = objective.Likelihood
            ?? throw new ArgumentException("A plain function has a Hessian, but no output to take a Fisher or Gauss-Newton matrix of.", nameof(objective));

    private protected Likelihood Likelihood { get; }

    /// <summary>B of a batch, given its output, as a map of tensors shaped as the output.</summary>
    private protected virtual Func<Tensor, Tensor> Metric(Objective.Piece piece, Tensor output) =>
        t => Likelihood.HessianProduct(output, piece.Target, t);

    private protected override bool DifferentiatesCotangents => true;

    private protected override IEnumerable<IReadOnlyList<Tensor?>> Columns(
        Objective.Piece piece, Tensor[] parameters, IEnumerable<IReadOnlyList<Tensor>> directions)
    {
        var output = piece.Output;
        if (!output.requires_grad) yield break;
        var u = zeros_like(output, requires_grad: true);
        var transposed = Objective.Derivative(output, u, parameters, createGraph: true);        // J'u
        int[] used = [.. Enumerable.Range(0, transposed.Count).Where(i => transposed[i] is { requires_grad: true })];
        if (used.Length == 0) yield break;
        List<Tensor> usedParts = [.. used.Select(i => transposed[i]!)];
        var b = Metric(piece, output.detach());
        foreach (var v in directions)
        {
            using var scope = NewDisposeScope();
            var t = autograd.grad(usedParts, [u], [.. used.Select(i => v[i])], retain_graph: true)[0];
            yield return Objective.Derivative(output, b(t), parameters, again: true);
        }
    }
}
