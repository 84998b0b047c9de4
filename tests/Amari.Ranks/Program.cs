using System.Globalization;
using Amari.Distributed;
using Amari.Ranks;
using static TorchSharp.torch;

// One rank of a distributed test, or the process that a test kills: the scenario's name, then its arguments. Failures end the job as they
// do in a user's program.
set_num_threads(1);
TimeSpan? timeout =
    args[0] == "endless" && args[1] != "default" ? TimeSpan.FromSeconds(double.Parse(args[1], CultureInfo.InvariantCulture)) : null;
using var world = Communicator.FromLauncher(timeout);
try
{
    switch (args[0])
    {
        case "collectives":
            Collectives.Run(world);
            break;
        case "training":
            Training.Run(world);
            break;
        case "draws":
            Draws.Run(world);
            break;
        case "unlike":
            Unlike.Run(world);
            break;
        case "slow":
            Failure.Slow(world, double.Parse(args[1], CultureInfo.InvariantCulture));
            break;
        case "catalog":
            Catalog.Run(world);
            break;
        case "saved":
            SavedRuns.Run(args[1], args[2].Split(','), args[3..]);
            break;
        case "endless":
            Failure.Run(world, args[2]);
            break;
        default:
            throw new ArgumentException($"There is no scenario '{args[0]}'.");
    }
}
catch (Exception e)
{
    world.Abort($"{e.GetType().Name}: {e.Message} {e.StackTrace}");
}
world.Barrier();
if (world.Rank == 0)
    Console.WriteLine($"done: {world.Description}");
