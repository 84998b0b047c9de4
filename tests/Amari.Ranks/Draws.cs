using Amari.Curvature;
using Amari.Distributed;
using Amari.Training;
using Amari.Verification;
using TorchSharp;
using static Amari.Ranks.Agreement;
using static Amari.Ranks.Training;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>What K-FAC and others draw for an example over ranks is what one process draws for it with the whole batch, whatever the
/// Fisher.</summary>
internal static class Draws
{
    private const double Rounding = 1e-8,
        Moved = 1e-3; // float64
    private const int Uneven = 91,
        Steps = 8; // examples; the last batch of an epoch has one, which some ranks are without

    private static readonly Dictionary<string, Kfac.Options> Options = new()
    {
        ["defaults"] = new(),
        ["signs"] = Of(FisherKind.CurvaturePropagation) with
        {
            Curvature = Of(FisherKind.CurvaturePropagation).Curvature with
            {
                Fisher = new FisherOptions.CurvaturePropagation { Samples = 2 },
            },
        },
        ["labels"] = Of(FisherKind.MonteCarlo) with
        {
            Curvature = Of(FisherKind.MonteCarlo).Curvature with { Fisher = new FisherOptions.CurvaturePropagation { Samples = 2 } },
        },
        ["closed form"] = Of(FisherKind.Exact),
        ["data"] = Of(FisherKind.Empirical),
        ["inputs alone"] = Of(FisherKind.ForwardOnly),
        ["eigenvalues corrected"] = Of(FisherKind.MonteCarlo) with
        {
            Curvature = Of(FisherKind.MonteCarlo).Curvature with { Inverse = new InverseOptions.EigenvalueCorrection() },
        },
        ["the first examples"] = Of(FisherKind.CurvaturePropagation) with
        {
            Curvature = Of(FisherKind.CurvaturePropagation).Curvature with { FactorBatchSize = 9 },
        },
        ["the first example"] = Of(FisherKind.Exact) with { Curvature = Of(FisherKind.Exact).Curvature with { FactorBatchSize = 1 } },
    };

    private static readonly Dictionary<string, Func<nn.Module<Tensor, Tensor>, Amari.Optimizer>> Others = new()
    {
        ["counts"] = m => new Kfac(m, Of(new FisherOptions.MonteCarlo { Samples = 2 }), new Poisson()),
        ["Sophia"] = m => new Sophia(
            m,
            new Categorical(),
            new()
            {
                LearningRate = 0.01,
                Interval = 2,
                Samples = 2,
            }
        ),
        ["Sophia of counts"] = m => new Sophia(m, new Poisson(), new() { LearningRate = 0.01, Interval = 2 }),
        ["Hessian-free"] = m => new HessianFree(m, new Categorical(), new() { MaxIterations = 6, PreconditionerSamples = 2 }),
        ["natural gradient by labels"] = m => Natural(m, new LinearSolver.Gram(), FisherKind.MonteCarlo),
        ["natural gradient by products"] = m => Natural(m, new LinearSolver.ConjugateGradient { MaxIterations = 4 }, FisherKind.MonteCarlo),
        ["natural gradient by signs"] = m => Natural(m, new LinearSolver.Gram(), FisherKind.CurvaturePropagation),
    };

    private static NaturalGradient Natural(nn.Module<Tensor, Tensor> model, LinearSolver solver, FisherKind fisher) =>
        new(
            model,
            new Categorical(),
            new()
            {
                Damping = 0.1,
                KlRadius = 0.01,
                Fisher = fisher,
                MonteCarloSamples = 2,
                Solver = solver,
            }
        );

    private static Kfac.Options Of(FisherKind kind) => Of(FisherOptions.Of(kind));

    private static Kfac.Options Of(FisherOptions fisher) =>
        Methods.KfacOptions with
        {
            Seed = 5,
            Curvature = Methods.KfacOptions.Curvature with
            {
                Fisher = fisher,
                Refresh = Methods.KfacOptions.Curvature.Refresh with { FactorInterval = 1 },
            },
        };

    public static void Run(Communicator world)
    {
        foreach (var (name, options) in Options)
            Compare(world, name, model => new Kfac(model, options, new Categorical()));
        foreach (var (name, make) in Others)
            Compare(world, name, model => make((nn.Module<Tensor, Tensor>)model));
        foreach (string name in (string[])["Sophia", "natural gradient by labels"])
            Compare(world, name + ", in the order of the ranks", model => Others[name]((nn.Module<Tensor, Tensor>)model), placed: false);
        Unplaced(world);
    }

    private static void Compare(Communicator world, string name, Func<nn.Module, Amari.Optimizer> make, bool placed = true)
    {
        var expected = Alone(world, make, null, examples: Uneven, steps: Steps);
        var actual = Train(world, make, false, new(), null, examples: Uneven, steps: Steps, placed: placed);
        double error = Distance(expected, actual);
        Check($"draws, {name}: as one process, off by {error:G3}", error < Rounding && Distance(expected, Values(Model(100))) > Moved);
        Same(world, $"draws, {name}", actual);
    }

    /// <summary>A loop that does not say where its part lies: of equal parts, draws are those of one process, too.</summary>
    private static void Unplaced(Communicator world)
    {
        if (Batch % world.Size != 0)
            return;
        Amari.Optimizer Make(nn.Module model) => new Kfac(model, Of(FisherKind.MonteCarlo), new Categorical());
        var expected = Alone(world, Make, null, examples: 3 * Batch, steps: Steps);
        Check(
            "draws of equal parts",
            Distance(expected, Train(world, Make, false, new(), null, examples: 3 * Batch, steps: Steps, placed: false)) < Rounding
        );
    }
}
