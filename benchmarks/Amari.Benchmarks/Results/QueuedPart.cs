using System.Diagnostics;

namespace Amari.Benchmarks.Results;

/// <summary>A part that a <see cref="RecipeQueue"/> runs.</summary>
internal sealed record QueuedPart(Recipe Recipe, Part Part)
{
    /// <summary>Whether nothing is left of it.</summary>
    public bool IsDone { get; set; }

    /// <summary>The time stamp of its start; 0 before.</summary>
    public long Begun { get; set; }

    /// <summary>The seconds that it took; 0 before its end.</summary>
    public double Took { get; set; }

    /// <summary>Whether its process runs.</summary>
    public bool IsRunning => Begun > 0 && Took == 0;

    /// <summary>Its name for readers.</summary>
    public string Name => Part.Name == Recipe.Id ? Recipe.Id : $"{Recipe.Id}/{Part.Name}";

    /// <summary>The seconds until all parts are done, by their estimates, corrected by the parts that ended.</summary>
    public static double Left(IReadOnlyList<QueuedPart> parts, int jobs)
    {
        var ended = parts.Where(p => p is { IsDone: true, Took: > 0 }).ToList();
        double scale = ended.Count == 0 ? 1 : ended.Sum(p => p.Took) / ended.Sum(p => p.Part.Seconds);
        var open = parts.Where(p => !p.IsDone && p.Took == 0).ToList();
        double[] shared = [.. open.Where(p => !p.Recipe.IsAlone).Select(Rest)];
        return Math.Max(shared.Sum() / jobs, shared.DefaultIfEmpty().Max()) + open.Where(p => p.Recipe.IsAlone).Sum(Rest);

        double Rest(QueuedPart p) =>
            Math.Max(0, scale * p.Part.Seconds - (p.IsRunning ? Stopwatch.GetElapsedTime(p.Begun).TotalSeconds : 0));
    }
}
