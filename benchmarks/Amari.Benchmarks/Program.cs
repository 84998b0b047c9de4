using System.Globalization;
using Amari.Benchmarks;
using Amari.Benchmarks.Results;
using Amari.Training;
using Amari.Workloads;
using static TorchSharp.torch;

const string Usage =
    "usage: ratios|curvature|spectrum|scaling|steps|kfac|busy|least-squares|plan [--json FILE] [--overwrite] [--threads N] [--rounds N]; "
    + "plan, steps: [--optimizers NAMES]; plan: [--workloads NAMES] [--seconds N]; "
    + "faults [--kinds NAMES] [--repeats N] [--seed N] [--json FILE]; endurance [--workloads NAMES] [--optimizers NAMES] [--seeds N] "
    + "[--steps N] [--batches clean|corrupted] [--part K/N] [--out DIR] [--json FILE]; "
    + ResultsArguments.Usage;
if (args is ["results", ..])
    return ResultsCommand.Run(args[1..], Fail);
if (args is ["faults", ..])
    return Amari.Benchmarks.Faults.Campaign.Run(args[1..], Fail);
if (args is [BusyMachine.Neighbour, var process])
    return BusyMachine.BeNeighbour(int.Parse(process, CultureInfo.InvariantCulture));
if (args is ["endurance", ..])
    return EnduranceArguments.Run(args[1..], Fail);
bool overwrite = args.Contains("--overwrite");
args = [.. args.Where(a => a != "--overwrite")];
if (
    args is not ["ratios" or "curvature" or "spectrum" or "scaling" or "steps" or "kfac" or "busy" or "least-squares" or "plan", ..]
    || args.Length % 2 == 0
)
    return Fail(Usage);
var (file, rounds, seconds, workloads, optimizers) = (
    (string?)null,
    args is ["plan", ..] ? 3
    : args is ["spectrum" or "busy", ..] ? 5
    : 21,
    5,
    "digits-conv,autoencoder",
    string.Join(',', OptimizerCatalog.All.Select(o => o.Name))
);
for (int i = 1; i < args.Length; i += 2)
{
    if (args[i] == "--json")
        file = args[i + 1];
    else if (args[i] == "--workloads")
        workloads = args[i + 1];
    else if (args[i] == "--optimizers")
        optimizers = args[i + 1];
    else if (!int.TryParse(args[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out int n) || n < 1)
        return Fail($"{args[i]} {args[i + 1]}: expected an integer >= 1");
    else if (args[i] == "--threads")
        set_num_threads(n);
    else if (args[i] == "--rounds")
        rounds = n;
    else if (args[i] == "--seconds")
        seconds = n;
    else
        return Fail(Usage);
}
OutputTarget? target = null;
try
{
    var output = Console.Out;
    if (file is not null)
        target = OutputTarget.Of("--json", file, overwrite, output);
    if (file is not null && OutputTarget.IsOutput(file))
        Console.SetOut(Console.Error); // what a program reads has no other text in it
}
catch (ArgumentException e)
{
    return Fail(e.Message);
}
try
{
    return Measure();
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"--json '{file}' could not be written: {e.Message}"); // the tables are on the console
    return 1;
}

int Measure()
{
    if (args[0] == "ratios")
        Ratios.Run(rounds, target);
    else if (args[0] == "curvature")
        CurvatureCost.Run(rounds, target);
    else if (args[0] == "spectrum")
        SpectrumCost.Run(rounds, target);
    else if (args[0] == "kfac")
        KfacCost.Run(rounds, target);
    else if (args[0] == "busy")
        BusyMachine.Run(rounds, target);
    else if (args[0] == "least-squares")
        LeastSquaresCost.Run(rounds, target);
    else if (args[0] == "scaling")
        Scaling.Run(rounds, target);
    else
        try
        {
            OptimizerEntry[] entries = [.. optimizers.Split(',').Select(OptimizerCatalog.Find)];
            if (args[0] == "steps")
                Steps.Run(entries, rounds, target);
            else
                PlanAccuracy.Run([.. workloads.Split(',').Select(w => WorkloadCatalog.Find(w, null))], entries, rounds, seconds, target);
        }
        catch (Exception e) when (e is ArgumentException or FileNotFoundException)
        {
            return Fail(e.Message);
        }
    return 0;
}

static int Fail(string message)
{
    Console.Error.WriteLine(message);
    return 2;
}
