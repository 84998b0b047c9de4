using System.Diagnostics;
using Amari.Cli.Commands;
using Amari.Reporting;
using Amari.Training;

namespace Amari.Cli.Lecture;

/// <summary>A run of an item: its result, or the reason why there is none.</summary>
internal sealed record LectureRun(LectureItem Item, LectureResult? Result, string? Error, double Seconds, IReadOnlyList<string> Files)
{
    public bool Passed => Result?.Passed == true;

    /// <summary>Runs an item and writes its figures into a folder.</summary>
    /// <param name="item">The item.</param>
    /// <param name="seed">Seed of all random numbers. The result of an item does not depend on earlier items.</param>
    /// <param name="folder">The folder of the figures.</param>
    public static LectureRun Of(LectureItem item, int seed, ResultFolder folder)
    {
        var clock = Stopwatch.StartNew();
        using var scope = torch.NewDisposeScope();
        torch.manual_seed(seed);
        try
        {
            var result = item.Run(seed);
            var files = new List<string>();
            foreach (var figure in result.Figures)
                using (figure)
                    files.AddRange(figure.Save(folder, figure.Name));
            return new(item, result, null, clock.Elapsed.TotalSeconds, files);
        }
        catch (Exception e)
            when (e is not OutOfMemoryException && Environment.GetEnvironmentVariable(Commands.CommandLine.TraceVariable) is null)
        {
            return new(item, null, $"{e.Message.Split('\n')[0].Trim()} ({e.GetType().Name})", clock.Elapsed.TotalSeconds, []);
        }
    }
}
