using Amari.Curvature;
using Amari.Distributed;
using Amari.Training;
using Amari.Verification;
using TorchSharp;
using static Amari.Ranks.Agreement;
using static Amari.Ranks.Training;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>What K-FAC draws for an example over ranks is what one process draws for it with the whole batch, whatever the
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

    private static Kfac.Options Of(FisherKind kind) =>
        KfacOptions with
        {
            Seed = 5,
            Curvature = KfacOptions.Curvature with
            {
                Fisher = FisherOptions.Of(kind),
                Refresh = KfacOptions.Curvature.Refresh with { FactorInterval = 1 },
            },
        };

    public static void Run(Communicator world)
    {
        foreach (var (name, options) in Options)
        {
            Amari.Optimizer Make(nn.Module model) => new Kfac(model, options, new Categorical());
            var expected = Alone(world, Make, null, examples: Uneven, steps: Steps);
            var actual = Train(world, Make, false, new(), null, examples: Uneven, steps: Steps);
            double error = Distance(expected, actual);
            Check($"draws, {name}: as one process, off by {error:G3}", error < Rounding && Distance(expected, Values(Model(100))) > Moved);
            Same(world, $"draws, {name}", actual);
        }
        Unplaced(world);
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
