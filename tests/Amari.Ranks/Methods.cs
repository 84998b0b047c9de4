using Amari.Curvature;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>The optimizers whose training on ranks is compared with that of one process.</summary>
internal static class Methods
{
    public static readonly Dictionary<string, Func<nn.Module, Amari.Optimizer>> Plain = new()
    {
        ["sgd"] = m => new Sgd(m, new() { LearningRate = 0.1, Momentum = 0.9 }),
        ["adam"] = m => new Adam(m, new() { LearningRate = 0.01, WeightDecay = 0.1 }),
        ["adamw"] = m => new AdamW(m, new() { LearningRate = 0.01 }),
        ["lion"] = m => new Lion(m, new() { LearningRate = 1e-3 }),
        ["muon"] = m => new Muon(m, new() { LearningRate = 0.01 }),
        ["shampoo"] = m => new Shampoo(m, new() { LearningRate = 0.01, RefreshInterval = 2 }),
        ["lamb"] = m => new Lamb(m, new() { LearningRate = 0.01 }),
        ["adafactor"] = m => new Adafactor(m, new() { LearningRate = 0.01 }),
        ["schedulefree"] = m => new ScheduleFree((nn.Module<Tensor, Tensor>)m, new() { LearningRate = 0.01 }),
        ["routed"] = m => new PartitionedOptimizer(
            m,
            new PartitionedOptimizer.Options { MatrixOptimizer = KfacOptions },
            new Categorical()
        ),
        ["kfac"] = m => new Kfac(m, KfacOptions, new Categorical()),
        ["kfac lean"] = m => new Kfac(
            m,
            KfacOptions with
            {
                Curvature = KfacOptions.Curvature with
                {
                    Distribution = KfacOptions.Curvature.Distribution with { GradWorkerFraction = 0 },
                },
            },
            new Categorical()
        ),
        ["kfac half"] = m => new Kfac(
            m,
            KfacOptions with
            {
                Curvature = KfacOptions.Curvature with
                {
                    Distribution = KfacOptions.Curvature.Distribution with { GradWorkerFraction = 0.5 },
                },
            },
            new Categorical()
        ),
        ["kfac repeated"] = m => new Kfac(
            m,
            KfacOptions with
            {
                Curvature = KfacOptions.Curvature with
                {
                    Inverse = new InverseOptions.Eigenbasis(),
                    Distribution = KfacOptions.Curvature.Distribution with { InverseWork = InverseWork.Replicated },
                },
            },
            new Categorical()
        ),
        ["kfac half repeated"] = m => new Kfac(
            m,
            KfacOptions with
            {
                Curvature = KfacOptions.Curvature with
                {
                    Distribution = KfacOptions.Curvature.Distribution with
                    {
                        GradWorkerFraction = 0.5,
                        InverseWork = InverseWork.Replicated,
                    },
                },
            },
            new Categorical()
        ),
        ["ekfac"] = m => new Kfac(
            m,
            KfacOptions with
            {
                Curvature = KfacOptions.Curvature with { Inverse = new InverseOptions.EigenvalueCorrection() },
            },
            new Categorical()
        ),
        ["kfac empirical"] = m => new Kfac(
            m,
            KfacOptions with
            {
                Curvature = KfacOptions.Curvature with { Fisher = new FisherOptions.Empirical() },
            }
        ),
    };

    /// <summary>Methods that take the batch.</summary>
    public static readonly Dictionary<string, Func<nn.Module, Amari.Optimizer>> Batched = new()
    {
        ["sophia"] = m => new Sophia(
            (nn.Module<Tensor, Tensor>)m,
            new Categorical(),
            new()
            {
                LearningRate = 0.01,
                Interval = 2,
                Samples = 2,
            }
        ),
        ["adahessian"] = m => new AdaHessian((nn.Module<Tensor, Tensor>)m, new Categorical(), new() { LearningRate = 0.01 }),
        ["newton-cg"] = m => new NewtonCg((nn.Module<Tensor, Tensor>)m, new Categorical()) { MaxGradientNorm = 0.5 },
        ["hessian-free"] = m => new HessianFree((nn.Module<Tensor, Tensor>)m, new Categorical(), new() { MaxIterations = 8 }),
        ["hessian-free kfac"] = m => new HessianFree(
            (nn.Module<Tensor, Tensor>)m,
            new Categorical(),
            new() { MaxIterations = 8, Preconditioner = HessianFreePreconditioner.Kfac }
        ),
        ["natural-gradient gram"] = m => new NaturalGradient(
            (nn.Module<Tensor, Tensor>)m,
            new Categorical(),
            new()
            {
                Damping = 0.1,
                KlRadius = 0.01,
                Fisher = FisherKind.MonteCarlo,
                MonteCarloSamples = 2,
            }
        ),
        ["natural-gradient cg"] = m => new NaturalGradient(
            (nn.Module<Tensor, Tensor>)m,
            new Categorical(),
            new()
            {
                Damping = 0.1,
                KlRadius = 0.01,
                Solver = new LinearSolver.ConjugateGradient { MaxIterations = 10 },
            }
        ),
        ["lbfgs"] = m => new Lbfgs((nn.Module<Tensor, Tensor>)m, new Categorical(), new() { LearningRate = 0.3, Iterations = 5 }),
        ["levenberg-marquardt"] = m => new LevenbergMarquardt((nn.Module<Tensor, Tensor>)m, new LabelSquares()),
        ["levenberg-marquardt cg"] = m => new LevenbergMarquardt(
            (nn.Module<Tensor, Tensor>)m,
            new LabelSquares(),
            new()
            {
                Solver = new LinearSolver.ConjugateGradient { MaxIterations = 10 },
                MaxAcceleration = null,
            }
        ),
        ["gauss-newton"] = m => new DampedGaussNewton(
            (nn.Module<Tensor, Tensor>)m,
            new LabelSquares(),
            new() { Damping = 0.01, Momentum = 0.5 }
        ),
        ["kfac quadratic"] = m => new Kfac(
            m,
            KfacOptions with
            {
                Step = new QuadraticStep
                {
                    BatchSize = null,
                    AdaptiveDamping = new() { Interval = 1 },
                    FactorDamping = new() { Interval = 2 },
                },
            },
            new Categorical()
        ),
        ["kfac quadratic lean"] = m => new Kfac(
            m,
            KfacOptions with
            {
                Step = new QuadraticStep
                {
                    BatchSize = null,
                    FactorDamping = new() { Interval = 2 },
                },
                Curvature = KfacOptions.Curvature with
                {
                    Distribution = KfacOptions.Curvature.Distribution with { GradWorkerFraction = 0 },
                },
            },
            new Categorical()
        ),
        ["kfac rejecting"] = m => new Kfac(
            m,
            KfacOptions with
            {
                LearningRate = 2,
                StepRejection = true,
                Step = (AutoStep)KfacOptions.Step with
                {
                    KlClip = null,
                    AdaptiveDamping = new() { Interval = 2 },
                },
            },
            new Categorical()
        ),
    };

    /// <summary>Those whose state cannot be divided.</summary>
    public static readonly HashSet<string> Whole = ["muon", "shampoo", "lamb", "adafactor", "schedulefree", "routed"];

    public static Kfac.Options KfacOptions =>
        new()
        {
            LearningRate = 0.05,
            Damping = 0.1,
            WeightDecay = 0.01,
            Step = new AutoStep // a clip that binds in some steps only, so that clipped gradients show
            {
                Momentum = 0.9,
                KlClip = 1e-3,
                BatchSize = null,
            },
            Curvature = new()
            {
                Fisher = new FisherOptions.Exact(),
                Refresh = new() { InverseInterval = 3, Warmup = null },
            },
        };
}
