using Amari.Kernels;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>H = ∇²L of an objective, without forming it: each column is a Hessian-vector product (Pearlmutter 1994) by double
/// backward.</summary>
/// <remarks><code>
/// H v = ∇ ⟨∇L(w), v⟩
/// </code>A product with k columns takes one forward pass, one backward pass and k second backward passes, which cost twice a
/// forward and backward pass. In a run only the first product of a batch takes the first two.</remarks>
/// <param name="objective">L.</param>
/// <example><code>
/// using Amari.Curvature;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var hessian = new Hessian(new Objective(model, new Categorical(), [(x, y)]));
/// using var v = ones(hessian.Dimension);
/// using (hessian.BeginRun())                              // products share the graph of each batch
/// {
///     using var first = hessian.Apply(v);                 // H v
///     using var second = hessian.Apply(first);            // H H v
/// }
/// </code></example>
public sealed class Hessian(Objective objective) : CurvatureOperator(objective)
{
    private protected override bool DifferentiatesCotangents => false;

    private protected override BatchProduct? Linearize(Objective.Batch batch, Tensor[] parameters)
    {
        Objective.RequireGraph();
        var gradients = Objective.Derivative(batch.Loss, null, parameters, createGraph: true);
        // The loss is not linear in these parameters.
        int[] curved = [.. Enumerable.Range(0, gradients.Count).Where(i => gradients[i] is { requires_grad: true })];
        Tensor[] curvedGradients = [.. curved.Select(i => gradients[i]!)];
        return curved.Length == 0
            ? null
            : v => ReverseMode.Derivative(curvedGradients, parameters, [.. curved.Select(i => v[i])], again: true);
    }
}
