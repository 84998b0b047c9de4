using Amari.Curvature;
using Amari.Ranks;
using Amari.Solvers;

namespace Amari.Tests.SecondOrder;

/// <summary>Every second-order optimizer, in each setting that takes another path: what the contract tests run over.</summary>
public static class SecondOrderCases
{
    private static readonly Dictionary<string, Func<nn.Module<Tensor, Tensor>, Likelihood, SecondOrderOptimizer>> Makers = new()
    {
        ["Newton"] = (m, l) => new Newton(m, l, new() { Damping = 0.3, LearningRate = 0.5 }),
        ["SaddleFreeNewton"] = (m, l) => new SaddleFreeNewton(m, l, new() { Damping = 0.1, LearningRate = 0.5 }),
        ["NewtonCg"] = (m, l) => new NewtonCg(m, l, new() { Radius = 0.1 }),
        ["HessianFree plain"] = (m, l) =>
            new HessianFree(m, l, new() { Preconditioner = HessianFreePreconditioner.None, CgBacktracking = false }),
        ["HessianFree diagonal"] = (m, l) => new HessianFree(m, l, new() { Damping = 0.1 }),
        ["HessianFree K-FAC"] = (m, l) => new HessianFree(m, l, new() { Damping = 0.1, Preconditioner = HessianFreePreconditioner.Kfac }),
        ["NaturalGradient automatic"] = (m, l) => new NaturalGradient(m, l, new() { Damping = 0.1, LearningRate = 0.3 }),
        ["NaturalGradient dense KL"] = (m, l) =>
            new NaturalGradient(
                m,
                l,
                new()
                {
                    Damping = 0.01,
                    KlRadius = 1e-3,
                    Solver = new LinearSolver.Normal(),
                }
            ),
        ["NaturalGradient CG Monte-Carlo"] = (m, l) =>
            new NaturalGradient(
                m,
                l,
                new()
                {
                    Damping = 0.1,
                    LearningRate = 0.1,
                    Solver = new LinearSolver.ConjugateGradient(),
                    Fisher = FisherKind.MonteCarlo,
                }
            ),
        ["NaturalGradient Gram empirical"] = (m, l) =>
            new NaturalGradient(
                m,
                l,
                new()
                {
                    Damping = 0.1,
                    LearningRate = 0.1,
                    Solver = new LinearSolver.Gram(),
                    Fisher = FisherKind.Empirical,
                }
            ),
        ["NaturalGradient adaptive, searching"] = (m, l) =>
            new NaturalGradient(
                m,
                l,
                new()
                {
                    Damping = 0.1,
                    AdaptiveDamping = new() { Decay = 0.5, Interval = 1 },
                    LineSearch = LineSearch.StrongWolfe,
                }
            ),
        ["Lbfgs"] = (m, l) => new Lbfgs(m, l, new() { Iterations = 3, History = 4 }),
        ["Lbfgs without search"] = (m, l) =>
            new Lbfgs(
                m,
                l,
                new()
                {
                    LearningRate = 0.3,
                    Iterations = 3,
                    History = 4,
                    LineSearch = LineSearch.None,
                }
            ),
        ["LevenbergMarquardt"] = (m, l) => new LevenbergMarquardt(m, l),
        ["LevenbergMarquardt plain, Moré, QR"] = (m, l) =>
            new LevenbergMarquardt(
                m,
                l,
                new()
                {
                    MaxAcceleration = null,
                    Scaling = LeastSquaresScaling.Columns,
                    Solver = new LinearSolver.Qr(),
                }
            ),
        ["LevenbergMarquardt unscaled, CG"] = (m, l) =>
            new LevenbergMarquardt(m, l, new() { Scaling = LeastSquaresScaling.None, Solver = new LinearSolver.ConjugateGradient() }),
        ["DampedGaussNewton"] = (m, l) => new DampedGaussNewton(m, l, new() { Damping = 1e-3 }),
        ["DampedGaussNewton SPRING, grid, Gram"] = (m, l) =>
            new DampedGaussNewton(
                m,
                l,
                new()
                {
                    Damping = 1e-2,
                    Momentum = 0.5,
                    Search = StepSearch.Grid,
                    Solver = new LinearSolver.Gram(),
                }
            ),
    };

    /// <summary>Every solver; null for the automatic one.</summary>
    internal static IEnumerable<LinearSolverKind?> Solvers => [null, .. Enum.GetValues<LinearSolverKind>()];

    /// <summary>A solver by its kind, the tolerance for conjugate gradient.</summary>
    internal static LinearSolver Solver(LinearSolverKind? kind, double tolerance = 1e-6) =>
        kind == LinearSolverKind.ConjugateGradient ? new LinearSolver.ConjugateGradient { Tolerance = tolerance }
        : kind is { } one ? LinearSolver.Of(one)
        : new LinearSolver.Automatic();

    public static TheoryData<string> Names => [.. Makers.Keys];

    internal static SecondOrderOptimizer Make(string name, nn.Module<Tensor, Tensor> model, Likelihood? likelihood = null) =>
        Makers[name](model, likelihood ?? LikelihoodOf(name));

    /// <summary>What the method can train with on labels.</summary>
    internal static Likelihood LikelihoodOf(string name) =>
        name.StartsWith(nameof(LevenbergMarquardt), StringComparison.Ordinal)
        || name.StartsWith(nameof(DampedGaussNewton), StringComparison.Ordinal)
            ? new LabelSquares()
            : new Categorical();

    /// <summary>The same optimizer with its default options.</summary>
    internal static SecondOrderOptimizer Default(string name, nn.Module<Tensor, Tensor> model) =>
        name.Split(' ')[0] switch
        {
            "Newton" => new Newton(model, new Categorical()),
            "SaddleFreeNewton" => new SaddleFreeNewton(model, new Categorical()),
            "NewtonCg" => new NewtonCg(model, new Categorical()),
            "HessianFree" => new HessianFree(model, new Categorical()),
            "NaturalGradient" => new NaturalGradient(model, new Categorical()),
            "LevenbergMarquardt" => new LevenbergMarquardt(model, new LabelSquares()),
            "DampedGaussNewton" => new DampedGaussNewton(model, new LabelSquares()),
            _ => new Lbfgs(model, new Categorical()),
        };

    internal static nn.Module<Tensor, Tensor> Model(ScalarType type = ScalarType.Float32)
    {
        manual_seed(21);
        return nn.Sequential(("a", nn.Linear(4, 5)), ("d", nn.Dropout(0.5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3))).to(type);
    }

    internal static nn.Module<Tensor, Tensor> Convex()
    {
        manual_seed(21);
        return nn.Sequential(("a", nn.Linear(4, 3)));
    }

    internal static (Tensor X, Tensor Y) Batch(int seed, ScalarType type = ScalarType.Float32)
    {
        using var generator = new Generator((ulong)seed);
        return (randn([12, 4], generator: generator).to_type(type), randint(0, 3, [12], generator: generator));
    }

    internal static StepReport StepOnBatch(SecondOrderOptimizer optimizer, int seed, ScalarType type = ScalarType.Float32)
    {
        using var scope = NewDisposeScope();
        var (x, y) = Batch(seed, type);
        return optimizer.StepOnBatch(x, y);
    }

    /// <summary>Every second-order method of the library.</summary>
    internal static IReadOnlyList<Type> Methods { get; } =
    [.. typeof(SecondOrderOptimizer).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(SecondOrderOptimizer)) && !t.IsAbstract)];

    internal static double[] Values(nn.Module model) => Optimizers.Problem.Values(model.parameters());
}
