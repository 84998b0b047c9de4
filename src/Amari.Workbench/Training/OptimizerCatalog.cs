using Amari.Optimizers;
using Amari.Reporting;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>All optimizers of the command line.</summary>
public static class OptimizerCatalog
{
    // The quadratic model determines the step length, in place of a learning rate, a momentum and a bound.
    private static readonly (string, string) OwnLength = (nameof(Kfac.Options.Step), "Quadratic");

    private static IReadOnlyList<SearchDimension> KfacSpace(SearchDimension own) =>
        [
            new SearchChoice("Step", ["Fixed", "Quadratic"]),
            new SearchChoice("Curvature.IdentityStart", ["0", "1"]),
            new SearchRange("Damping", 1e-4, 1),
            own,
            new SearchRange("Step.KlClip", 2e-4, 5e-3) { Unless = OwnLength },
            new SearchRange("Step.Momentum", 0.2, 0.9, FromOne: true) { Unless = OwnLength },
            new SearchRange("LearningRate", 0.03, 0.3) { Unless = OwnLength },
        ];

    /// <summary>The entries, in the order of listings.</summary>
    public static IReadOnlyList<OptimizerEntry> All { get; } =
    [
        new(
            "sgd",
            "gradient descent with momentum",
            typeof(Sgd.Options),
            (m, o, _) => new Sgd(m, (Sgd.Options)o),
            [new SearchRange("LearningRate", 1e-3, 1), new SearchRange("Momentum", 0.5, 0.99, FromOne: true)]
        ),
        new(
            "adam",
            "Adam, L2 regularisation",
            typeof(Adam.Options),
            (m, o, _) => new Adam(m, (Adam.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.95, 0.9995, FromOne: true),
            ]
        ),
        new(
            "adamw",
            "Adam with decoupled weight decay",
            typeof(AdamW.Options),
            (m, o, _) => new AdamW(m, (AdamW.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.95, 0.9995, FromOne: true),
            ]
        ),
        new(
            "lion",
            "evolved sign momentum, one state tensor",
            typeof(Lion.Options),
            (m, o, _) => new Lion(m, (Lion.Options)o),
            [
                new SearchRange("LearningRate", 1e-5, 1e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.9, 0.998, FromOne: true),
            ]
        ),
        new(
            "adamw-bf16",
            "AdamW, moments in bfloat16",
            typeof(AdamW.Options),
            (m, o, _) => new AdamW(m, (AdamW.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.95, 0.9995, FromOne: true),
            ],
            "adamw",
            [KeyValuePair.Create("StateFormat", "BFloat16")]
        ),
        new(
            "adamw-8bit",
            "AdamW, moments in blocks of 8 bits",
            typeof(AdamW.Options),
            (m, o, _) => new AdamW(m, (AdamW.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.95, 0.9995, FromOne: true),
            ],
            "adamw",
            [KeyValuePair.Create("StateFormat", "BlockwiseInt8")]
        ),
        new(
            "lion-bf16",
            "Lion, momentum in bfloat16",
            typeof(Lion.Options),
            (m, o, _) => new Lion(m, (Lion.Options)o),
            [
                new SearchRange("LearningRate", 1e-5, 1e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.9, 0.998, FromOne: true),
            ],
            "lion",
            [KeyValuePair.Create("StateFormat", "BFloat16")]
        ),
        new(
            "lion-8bit",
            "Lion, momentum in blocks of 8 bits",
            typeof(Lion.Options),
            (m, o, _) => new Lion(m, (Lion.Options)o),
            [
                new SearchRange("LearningRate", 1e-5, 1e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.9, 0.998, FromOne: true),
            ],
            "lion",
            [KeyValuePair.Create("StateFormat", "BlockwiseInt8")]
        ),
        new(
            "kfac",
            "natural gradient, Kronecker-factored",
            typeof(Kfac.Options),
            (m, o, p) => new Kfac(m, (Kfac.Options)o, p),
            KfacSpace(new SearchRange("Curvature.Inverse.RankTolerance", 0.1, 1.5))
        ),
        new(
            "ekfac",
            "K-FAC with eigenvalues corrected",
            typeof(Kfac.Options),
            (m, o, p) => new Kfac(m, (Kfac.Options)o, p),
            KfacSpace(new SearchChoice("Step.AdaptiveDamping", ["False", "True"])),
            Preset: [KeyValuePair.Create("Curvature.Inverse", "EigenvalueCorrection"), KeyValuePair.Create("Damping", "1e-3")]
        ), // the eigenvalue correction needs more damping than factored Tikhonov
        new(
            "muon",
            "orthogonalised momentum of matrices",
            typeof(Muon.Options),
            (m, o, _) => new Muon(m, (Muon.Options)o),
            [
                new SearchRange("LearningRate", 1e-3, 0.2),
                new SearchRange("Momentum", 0.8, 0.98, FromOne: true),
                new SearchRange("FallbackScale", 1e-2, 1),
            ]
        ),
        new(
            "soap",
            "Adam in Shampoo's eigenbasis",
            typeof(Soap.Options),
            (m, o, _) => new Soap(m, (Soap.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.9, 0.999, FromOne: true),
            ]
        ),
        new(
            "shampoo",
            "inverse roots of each side's factor, grafted",
            typeof(Shampoo.Options),
            (m, o, _) => new Shampoo(m, (Shampoo.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Epsilon", 1e-12, 1e-3),
            ]
        ),
        new(
            "schedulefree-adamw",
            "averaged AdamW, no schedule",
            typeof(ScheduleFree.Options),
            (m, o, _) => new ScheduleFree(m, (ScheduleFree.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.95, 0.9995, FromOne: true),
            ]
        ),
        new(
            "schedulefree-sgd",
            "averaged gradient descent, no schedule",
            typeof(ScheduleFree.Options),
            (m, o, _) => new ScheduleFree(m, (ScheduleFree.Options)o),
            [new SearchRange("LearningRate", 1e-2, 10), new SearchRange("Beta1", 0.8, 0.98, FromOne: true)],
            Preset: [KeyValuePair.Create("Base", "Sgd"), KeyValuePair.Create("LearningRate", "1")]
        ),
        new(
            "sophia",
            "momentum over Gauss-Newton-Bartlett's diagonal, clipped",
            typeof(Sophia.Options),
            (m, o, p) => new Sophia(m, p, (Sophia.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Gamma", 1e-3, 1),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
            ]
        ),
        new(
            "sophia-hutchinson",
            "momentum over the Hessian's diagonal, clipped",
            typeof(Sophia.Options),
            (m, o, p) => new Sophia(m, p, (Sophia.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 3e-2),
                new SearchRange("Gamma", 1e-3, 1),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
            ],
            Preset: [KeyValuePair.Create("Estimate", "Hutchinson"), KeyValuePair.Create("Gamma", "0.01")]
        ),
        new(
            "adahessian",
            "Adam with the Hessian's diagonal",
            typeof(AdaHessian.Options),
            (m, o, p) => new AdaHessian(m, p, (AdaHessian.Options)o),
            [
                new SearchRange("LearningRate", 1e-3, 1),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.95, 0.9995, FromOne: true),
            ]
        ),
        new(
            "routed-muon",
            "Muon for matrices, AdamW for the rest",
            typeof(PartitionedOptimizer.Options),
            (m, o, p) => new PartitionedOptimizer(m, (PartitionedOptimizer.Options)o, p),
            [
                new SearchRange("MatrixOptimizer.LearningRate", 1e-3, 0.2),
                new SearchRange("Fallback.LearningRate", 1e-4, 3e-2),
                new SearchRange("MatrixOptimizer.Momentum", 0.8, 0.98, FromOne: true),
            ],
            Preset: [KeyValuePair.Create("MatrixOptimizer", "muon")]
        ),
        new(
            "routed-soap",
            "SOAP for matrices, AdamW for the rest",
            typeof(PartitionedOptimizer.Options),
            (m, o, p) => new PartitionedOptimizer(m, (PartitionedOptimizer.Options)o, p),
            [new SearchRange("MatrixOptimizer.LearningRate", 1e-4, 3e-2), new SearchRange("Fallback.LearningRate", 1e-4, 3e-2)],
            Preset: [KeyValuePair.Create("MatrixOptimizer", "soap")]
        ),
        new(
            "routed-kfac",
            "K-FAC for layers, AdamW for the rest",
            typeof(PartitionedOptimizer.Options),
            (m, o, p) => new PartitionedOptimizer(m, (PartitionedOptimizer.Options)o, p),
            [
                new SearchRange("MatrixOptimizer.Damping", 1e-4, 1),
                new SearchRange("MatrixOptimizer.Step.KlClip", 2e-4, 5e-3),
                new SearchRange("Fallback.LearningRate", 1e-4, 3e-2),
                new SearchRange("MatrixOptimizer.Step.Momentum", 0.2, 0.9, FromOne: true),
            ],
            Preset: [KeyValuePair.Create("MatrixOptimizer", "kfac")]
        ),
        new(
            "lamb",
            "Adam by shares of each layer's norm",
            typeof(Lamb.Options),
            (m, o, _) => new Lamb(m, (Lamb.Options)o),
            [
                new SearchRange("LearningRate", 1e-4, 0.1),
                new SearchRange("Beta1", 0.8, 0.98, FromOne: true),
                new SearchRange("Beta2", 0.95, 0.9995, FromOne: true),
            ]
        ),
        new(
            "adafactor",
            "second moments by rows and columns",
            typeof(Adafactor.Options),
            (m, o, _) => new Adafactor(m, (Adafactor.Options)o),
            [new SearchRange("LearningRate", 1e-4, 0.1), new SearchRange("DecayPower", 0.5, 0.9)]
        ),
        new(
            "newton",
            "Newton's method, dense Hessian",
            typeof(Newton.Options),
            (m, o, p) => new Newton(m, p, (Newton.Options)o),
            [new SearchRange("LearningRate", 0.1, 1), new SearchRange("Damping", 1e-6, 1)]
        ),
        new(
            "saddle-free-newton",
            "Newton with absolute eigenvalues, dense",
            typeof(SaddleFreeNewton.Options),
            (m, o, p) => new SaddleFreeNewton(m, p, (SaddleFreeNewton.Options)o),
            [new SearchRange("LearningRate", 0.1, 1), new SearchRange("Damping", 1e-6, 1)]
        ),
        new(
            "newton-cg",
            "trust-region Newton, matrix-free",
            typeof(NewtonCg.Options),
            (m, o, p) => new NewtonCg(m, p, (NewtonCg.Options)o),
            [new SearchRange("Radius", 0.1, 10), new SearchRange("MaxRadius", 1, 1000), new SearchRange("Tolerance", 1e-3, 0.5)]
        ),
        new(
            "hessian-free",
            "Gauss-Newton by conjugate gradient, Martens 2010",
            typeof(HessianFree.Options),
            (m, o, p) => new HessianFree(m, p, (HessianFree.Options)o),
            [new SearchRange("Damping", 1e-3, 10), new SearchRange("ProgressTolerance", 1e-4, 1e-2)]
        ),
        new(
            "natural-gradient",
            "natural gradient, whole Fisher matrix",
            typeof(NaturalGradient.Options),
            (m, o, p) => new NaturalGradient(m, p, (NaturalGradient.Options)o),
            [new SearchRange("LearningRate", 1e-2, 1), new SearchRange("Damping", 1e-6, 1)]
        ),
        new(
            "lbfgs",
            "limited-memory BFGS, strong Wolfe line search",
            typeof(Lbfgs.Options),
            (m, o, p) => new Lbfgs(m, p, (Lbfgs.Options)o),
            [new SearchRange("LearningRate", 1e-2, 1)]
        ),
        new(
            "levenberg-marquardt",
            "least squares, adaptive damping, geodesic acceleration",
            typeof(LevenbergMarquardt.Options),
            (m, o, p) => new LevenbergMarquardt(m, p, (LevenbergMarquardt.Options)o),
            [new SearchRange("InitialDamping", 1e-6, 1), new SearchChoice("Scaling", ["Decaying", "None"])]
        ),
        new(
            "gauss-newton",
            "least squares, fixed damping, line search; energy natural gradient",
            typeof(DampedGaussNewton.Options),
            (m, o, p) => new DampedGaussNewton(m, p, (DampedGaussNewton.Options)o),
            [new SearchRange("Damping", 1e-12, 1e-2), new SearchChoice("Search", ["Halving", "Grid"])]
        ),
    ];

    /// <summary>The name of the first entry with these options.</summary>
    internal static string NameOf(Type options) => All.First(e => e.OptionsType == options).Name;

    /// <summary>The entry called <paramref name="name"/>.</summary>
    /// <exception cref="ArgumentException">There is none; the message lists the names.</exception>
    public static OptimizerEntry Find(string name) =>
        All.FirstOrDefault(e => string.Equals(e.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw new ArgumentException($"There is no optimizer '{name}'; there are {string.Join(", ", All.Select(e => e.Name))}.");
}
