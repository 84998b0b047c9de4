using Amari.Kernels;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>The generalised Gauss-Newton matrix E[ J' B J ] of an objective (Schraudolph 2002), without forming it. J is the Jacobian of
/// the model's output f, B the Hessian of -log p(y | f) with respect to f.</summary>
/// <remarks><code>
/// t = J v            by double backward: J v = ∂/∂u ⟨ J'u, v ⟩, linear in u
/// C v = J' (B t)     one more backward pass
/// </code>Positive semidefinite if -log p is convex in f. For natural parameters it then equals the exact Fisher.</remarks>
/// <example><code>
/// using Amari.Curvature;
/// using Amari.Solvers;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var objective = new Objective(model, new Categorical(), [(x, y)]);
/// var matrix = new GaussNewton(objective).Damped(1e-2);   // G + λ I
/// CgResult result = ConjugateGradient.Solve(matrix, objective.Gradient().Gradient);
/// Console.WriteLine($"{result.Status} after {result.Iterations} products");
/// </code></example>
public class GaussNewton : CurvatureOperator
{
    /// <param name="objective">An objective with a likelihood.</param>
    /// <exception cref="ArgumentException">The objective is a plain function, which has no output.</exception>
    public GaussNewton(Objective objective)
        : base(objective) =>
        Likelihood =
            objective.Likelihood
            ?? throw new ArgumentException(
                "A plain function has a Hessian, but no Fisher or Gauss-Newton matrix, because it has no output.",
                nameof(objective)
            );

    private protected Likelihood Likelihood { get; }

    /// <summary>B of a batch given its output: a map of tensors with the shape of the output.</summary>
    private protected virtual Func<Tensor, Tensor> Metric(Objective.Batch batch, Tensor output) =>
        t => Likelihood.HessianProduct(output, batch.Target, t);

    private protected override bool DifferentiatesCotangents => true;

    private protected override BatchProduct? Linearize(Objective.Batch batch, Tensor[] parameters)
    {
        var output = batch.Output;
        if (!output.requires_grad)
            return null;
        var u = zeros_like(output, requires_grad: true);
        var transposed = Objective.Derivative(output, u, parameters, createGraph: true); // J'u
        int[] used = [.. Enumerable.Range(0, transposed.Count).Where(i => transposed[i] is { requires_grad: true })];
        if (used.Length == 0)
            return null;
        Tensor[] usedParts = [.. used.Select(i => transposed[i]!)];
        var b = Metric(batch, output.detach());
        return v =>
        {
            var t = ReverseMode.Derivative(usedParts, [u], [.. used.Select(i => v[i])], again: true)[0]!;
            return Objective.Derivative(output, b(t), parameters, again: true);
        };
    }

    private const double MinNorm = 1e-19; // the square of a smaller norm underflows in float32

    /// <summary>V'CV for a few directions and the slopes V'g. Both need only J V, which comes from forward passes.</summary>
    /// <remarks><code>
    /// J v ≈ ( f(w + h v) - f(w - h v) ) / 2h,   h = ε^⅓ (1 + |w|) / |v|     error of order ε^⅔, ε of the dtype
    /// V'CV = (J V)' B (J V),   V'g = (J V)' s,   s = ∂(-log p) / ∂f
    /// </code>The parameters move during the call and are restored bit by bit.</remarks>
    /// <param name="directions">k directions, each as tensors with the shapes of the parameters.</param>
    /// <param name="score">s of the only batch, with the shape of its output; null if the slopes are not needed.</param>
    /// <param name="seen">Receives f of each batch, which is not the receiver's.</param>
    /// <param name="norms">|v| of each direction, if known.</param>
    /// <returns>[k, k], symmetric, and [k], 0 without a score.</returns>
    internal (double[,] Form, double[] Slopes) Form(
        IReadOnlyList<IReadOnlyList<Tensor>> directions,
        Tensor? score,
        Action<Tensor>? seen = null,
        params double[] norms
    )
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (w, saved) = (Objective.Parameters.Tensors, Objective.Parameters.Tensors.ConvertAll(p => p.detach().clone()));
        double unit = Math.Cbrt(finfo(Type).eps) * (1 + Math.Sqrt(SumOfSquares(saved)));
        double[] h =
        [
            .. directions.Select(
                (v, i) => (i < norms.Length ? norms[i] : Math.Sqrt(SumOfSquares(v))) is var norm and > MinNorm ? unit / norm : 1
            ),
        ];
        int k = directions.Count;
        var form = new double[k, k];
        double[] slopes = new double[k];
        long terms = Objective.Walk(
            false,
            batch =>
            {
                seen?.Invoke(batch.Output);
                var b = Metric(batch, batch.Output);
                var s = score?.flatten();
                Tensor[] t = [.. directions.Select((v, i) => Difference(v, h[i]))];
                for (int j = 0; j < k; j++)
                {
                    var image = b(t[j]).flatten();
                    for (int i = 0; i <= j; i++)
                        form[i, j] += Dot(t[i].flatten(), image);
                    if (s is not null)
                        slopes[j] += Dot(t[j].flatten(), s);
                }

                Tensor Difference(IReadOnlyList<Tensor> v, double h)
                {
                    try
                    {
                        foreach (var (p, part) in w.Zip(v))
                            p.add_(part, alpha: h);
                        var after = batch.Reevaluate();
                        foreach (var (p, part) in w.Zip(v))
                            p.add_(part, alpha: -2 * h);
                        return after.sub_(batch.Reevaluate()).div_(2 * h);
                    }
                    finally
                    {
                        foreach (var (p, old) in w.Zip(saved))
                            p.copy_(old);
                    }
                }
            }
        );
        double divisor = Objective.Divisor(terms);
        double[] sums = Objective.Ranks.Sum([.. form.Cast<double>(), .. slopes]);
        for (int j = 0; j < k; j++)
        {
            for (int i = 0; i <= j; i++)
                form[j, i] = form[i, j] = sums[i * k + j] / divisor;
            slopes[j] = sums[k * k + j] / divisor;
        }
        return (form, slopes);
    }

    private static double Dot(Tensor a, Tensor b) => a.dot(b).to_type(ScalarType.Float64).ToDouble();

    private static double SumOfSquares(IEnumerable<Tensor> parts) => parts.Sum(p => InnerProducts.Of(p, p).AA);
}
