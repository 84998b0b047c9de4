using System.Globalization;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Benchmarks;

/// <summary>The options of <c>endurance</c>.</summary>
internal static class EnduranceArguments
{
    private const string Sample = "two-spirals";                // of samples/OwnWorkload: a user's own

    /// <summary>Runs it; 2 and a line for a bad argument.</summary>
    public static int Run(string[] args, Func<string, int> fail)
    {
        var (workloads, optimizers, seeds, steps, corrupted, part, folder) = ("digits-mlp", "kfac,ekfac,routed-kfac,routed-muon,routed-soap", 100, 10_000L, false, (1, 1), "endurance");
        if (args.Length % 2 != 0) return fail($"{args[^1]} has no value.");
        foreach (var pair in args.Chunk(2))
        {
            bool known = true;
            switch (pair[0])
            {
                case "--workloads": workloads = pair[1]; break;
                case "--optimizers": optimizers = pair[1] == "all" ? string.Join(',', OptimizerCatalog.All.Select(o => o.Name)) : pair[1]; break;
                case "--out": folder = pair[1]; break;
                case "--seeds": known = int.TryParse(pair[1], NumberStyles.None, CultureInfo.InvariantCulture, out seeds) && seeds > 0; break;
                case "--steps": known = long.TryParse(pair[1], NumberStyles.None, CultureInfo.InvariantCulture, out steps) && steps > 0; break;
                case "--batches": (corrupted, known) = (pair[1] == "corrupted", pair[1] is "clean" or "corrupted"); break;
                case "--part":
                    string[] of = pair[1].Split('/');
                    known = of.Length == 2 && int.TryParse(of[0], out int k) & int.TryParse(of[1], out int n) && k >= 1 && n >= k;
                    if (known) part = (int.Parse(of[0], CultureInfo.InvariantCulture), int.Parse(of[1], CultureInfo.InvariantCulture));
                    break;
                default: return fail($"There is no option {pair[0]}: endurance has --workloads, --optimizers, --seeds, --steps, --batches, --part and --out.");
            }
            if (!known) return fail($"{pair[0]} is '{pair[1]}'; it must be {(pair[0] == "--part" ? "K/N, 1 <= K <= N" : pair[0] == "--batches" ? "clean or corrupted" : "an integer >= 1")}.");
        }
        try
        {
            Endurance.Run([.. workloads.Split(',').Select(w => w == Sample ? new OwnWorkload.TwoSpirals() : WorkloadCatalog.Find(w, null))], [.. optimizers.Split(',').Select(OptimizerCatalog.Find)], seeds, steps, corrupted, part, folder);
            return 0;
        }
        catch (Exception e) when (e is ArgumentException or FileNotFoundException)
        {
            return fail(e.Message);
        }
    }
}
