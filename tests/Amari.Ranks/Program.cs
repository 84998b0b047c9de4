using Amari.Distributed;
using Amari.Ranks;
using static TorchSharp.torch;

// One rank of a distributed test: the scenario's name, then its arguments. Failures end the job as they do in a user's program.
set_num_threads(1);
using var world = Communicator.FromLauncher(args[0] is "hang" or "cut" ? TimeSpan.FromSeconds(double.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture)) : null);
try
{
    switch (args[0])
    {
        case "collectives": Collectives.Run(world); break;
        default: throw new ArgumentException($"There is no scenario '{args[0]}'.");
    }
}
catch (Exception e)
{
    world.Abort($"{e.GetType().Name}: {e.Message}\n{e.StackTrace}");
}
world.Barrier();
if (world.Rank == 0) Console.WriteLine($"done: {world.Description}");
