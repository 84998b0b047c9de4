using System.Globalization;
using Amari.Training;
using Amari.Workloads;
using OwnWorkload;

namespace Amari.Benchmarks;

/// <summary>The options of <c>endurance</c>.</summary>
internal static class EnduranceArguments
{
    private const string Sample = "two-spirals"; // of samples/OwnWorkload: a user's own

    private static string All => string.Join(',', OptimizerCatalog.All.Select(o => o.Name));

    private static bool Whole(string text, out int value) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value > 0;

    /// <summary>Runs it; 2 and a line for a bad argument.</summary>
    public static int Run(string[] args, Func<string, int> fail)
    {
        string workloads = "digits-mlp",
            optimizers = "kfac,ekfac,routed-kfac,routed-muon,routed-soap",
            folder = "endurance";
        string? file = null;
        var (seeds, steps, corrupted, part) = (100, 10_000L, false, (1, 1));
        if (args.Length % 2 != 0)
            return fail($"{args[^1]} has no value.");
        foreach (var pair in args.Chunk(2))
        {
            bool known = true;
            switch (pair[0])
            {
                case "--workloads":
                    workloads = pair[1];
                    break;
                case "--optimizers":
                    optimizers = pair[1] == "all" ? All : pair[1];
                    break;
                case "--out":
                    folder = pair[1];
                    break;
                case "--json":
                    file = pair[1];
                    break;
                case "--seeds":
                    known = Whole(pair[1], out seeds);
                    break;
                case "--steps":
                    (known, steps) = (Whole(pair[1], out int n), n);
                    break;
                case "--batches":
                    (corrupted, known) = (pair[1] == "corrupted", pair[1] is "clean" or "corrupted");
                    break;
                case "--part":
                    string[] of = pair[1].Split('/');
                    known = Whole(of[0], out int k) & Whole(of[^1], out int all) && of.Length == 2 && k <= all;
                    part = (k, all);
                    break;
                default:
                    return fail(
                        $"There is no option {pair[0]}; endurance has --workloads, --optimizers, --seeds, --steps, --batches, --part, "
                            + "--out, --json."
                    );
            }
            string wanted =
                pair[0] == "--part" ? "K/N, 1 <= K <= N"
                : pair[0] == "--batches" ? "clean or corrupted"
                : "an integer >= 1";
            if (!known)
                return fail($"{pair[0]} is '{pair[1]}'; it must be {wanted}.");
        }
        try
        {
            Workload[] chosen =
            [
                .. workloads.Split(',').Select(w => w == Sample ? new OwnWorkload.TwoSpirals() : WorkloadCatalog.Find(w, null)),
            ];
            Endurance.Run(chosen, [.. optimizers.Split(',').Select(OptimizerCatalog.Find)], seeds, steps, corrupted, part, folder, file);
            return 0;
        }
        catch (Exception e) when (e is ArgumentException or FileNotFoundException)
        {
            return fail(e.Message);
        }
    }
}
