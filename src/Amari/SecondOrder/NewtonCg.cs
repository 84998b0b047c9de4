using Amari.Curvature;
using Amari.Native;
using Amari.Optimizers;
using Amari.Solvers;

namespace Amari;

/// <summary>Newton-CG in a trust region, without forming the Hessian (Steihaug 1983; Nocedal and Wright, Algorithms 4.1 and 7.2).</summary>
/// <remarks><code>
/// p ≈ argmin g'p + ½ p'Hp,  |p| ≤ Δ          by <see cref="Steihaug"/>, to the residual min(τ, √|g|) |g|
/// ρ = (L(w) - L(w + η p)) / predicted
/// w ← w + η p if ρ ≥ ρ₀
/// Δ ← Δ/4 if ρ &lt; 1/4,   min(2Δ, Δmax) if ρ > 3/4 and p ended on the boundary
/// </code>
/// Where neither the loss nor the prediction changes by more than rounding, Δ stays, or grows to the first one if it is smaller.
/// It makes use of negative curvature, never raises the loss of its batch, and converges superlinearly near a minimum. A product costs
/// about as much as three gradients, and two where its graph is kept.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new NewtonCg(model, new Categorical());
/// for (int step = 0; step &lt; 10; step++)
/// {
///     StepReport report = optimizer.StepOnBatch(x, y);
///     Console.WriteLine($"{report.LossAfter}, radius {report.Radius}, {report.CgIterations} products");
/// }
/// </code></example>
public sealed class NewtonCg : SecondOrderOptimizer<NewtonCg.Options>
{
    private const double Shrink = 0.25,
        Grow = 2;

    /// <summary>Hyper-parameters of <see cref="NewtonCg"/>. The learning rate η multiplies the step that the trust region gave; 1 takes it
    /// as it is.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>Δ > 0 of the first step, in the units of the parameters' 2-norm.</summary>
        public double Radius
        {
            get;
            init => field = Require.Positive(value);
        } = 1;

        /// <summary>Δmax > 0.</summary>
        public double MaxRadius
        {
            get;
            init => field = Require.Positive(value);
        } = 100;

        /// <summary>ρ₀ in [0, 1): the smallest ratio of actual to predicted reduction with which a step is accepted.</summary>
        public double AcceptanceRatio
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 1e-4;

        /// <summary>Maximum number of Hessian-vector products per step, ≥ 1.</summary>
        public int MaxIterations
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 250;

        /// <summary>τ > 0: largest relative residual of the inner solve.</summary>
        public double Tolerance
        {
            get;
            init => field = Require.Positive(value);
        } = 0.5;
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output: the loss is its mean negative logarithm.</param>
    /// <param name="options">Null takes the defaults.</param>
    public NewtonCg(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) { }

    /// <summary>Over the parameters of any function that is passed to <c>step(closure)</c>.</summary>
    public NewtonCg(IEnumerable<Parameter> parameters, Options? options = null)
        : base(parameters, options ?? new()) { }

    /// <summary>Δ of the next step.</summary>
    public double Radius => Math.Min(Adapted ?? Group.Options.Radius, Group.Options.MaxRadius);

    private protected override double Within(double adapted, ScalarType type) => TrustRule.Radius(adapted, Group.Options.Radius, type);

    private protected override StepReport Update(Objective objective, double loss, Tensor gradient)
    {
        var o = Group.Options;
        double norm = gradient.norm().ToDouble(),
            radius = Radius,
            eta = o.LearningRate;
        if (norm == 0)
            return Try(objective, loss, gradient, eta, _ => 0) with
            {
                Radius = radius,
                CgIterations = 0,
                SteihaugStatus = SteihaugStatus.Interior,
            };
        var hessian = new Hessian(objective);
        SteihaugResult inner;
        using (hessian.BeginRun())
        {
            inner = Steihaug.Solve(
                hessian,
                gradient,
                radius,
                new() { MaxIterations = o.MaxIterations, Tolerance = Math.Min(o.Tolerance, Math.Sqrt(norm)) }
            );
            LogFallback(hessian);
        }
        if (inner.Status == SteihaugStatus.NotFinite)
            return Skipped(loss, curvature: true) with { Radius = radius, CgIterations = inner.Iterations, SteihaugStatus = inner.Status };
        double slope = Dot(gradient, inner.Step),
            curvature = -2 * (inner.PredictedReduction + slope); // p'Hp
        var report = Try(
            objective,
            loss,
            inner.Step,
            eta,
            t => -(t * slope + 0.5 * t * t * curvature),
            o.AcceptanceRatio,
            gradient: gradient
        );
        bool bounded = inner.Status is SteihaugStatus.Boundary or SteihaugStatus.NegativeCurvature;
        double grown = bounded ? Math.Min(Grow * radius, o.MaxRadius) : radius;
        Adapted = TrustRule.Radius(
            radius,
            report.ReductionRatio,
            poor: Shrink * radius,
            good: grown,
            o.Radius,
            objective.Parameters.Type,
            report.IsHidden
        );
        return report with
        {
            Radius = radius,
            CgIterations = inner.Iterations,
            SteihaugStatus = inner.Status,
            NegativeCurvature = inner.Status == SteihaugStatus.NegativeCurvature,
        };
    }
}
