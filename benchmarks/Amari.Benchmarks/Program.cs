using System.Globalization;
using Amari.Benchmarks;
using static TorchSharp.torch;

const string Usage = "usage: ratios|curvature|scaling|steps|kfac [--json FILE] [--threads N] [--rounds N]";
if (args is not ["ratios" or "curvature" or "scaling" or "steps" or "kfac", ..] || args.Length % 2 == 0) return Fail(Usage);
var (file, rounds) = ((string?)null, 21);
for (int i = 1; i < args.Length; i += 2)
{
    if (args[i] == "--json") file = args[i + 1];
    else if (!int.TryParse(args[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out int n) || n < 1) return Fail($"{args[i]} {args[i + 1]}: expected an integer >= 1");
    else if (args[i] == "--threads") set_num_threads(n);
    else if (args[i] == "--rounds") rounds = n;
    else return Fail(Usage);
}
if (args[0] == "ratios") Ratios.Run(rounds, file);
else if (args[0] == "curvature") CurvatureCost.Run(rounds, file);
else if (args[0] == "steps") Steps.Run(rounds, file);
else if (args[0] == "kfac") KfacCost.Run(rounds, file);
else Scaling.Run(rounds, file);
return 0;

static int Fail(string message)
{
    Console.Error.WriteLine(message);
    return 2;
}
