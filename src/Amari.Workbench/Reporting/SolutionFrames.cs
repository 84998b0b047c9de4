using System.Globalization;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>The solution of an equation and the error of each optimizer's first run during training, as data of a page.</summary>
internal static class SolutionFrames
{
    /// <summary>The optimizers whose runs recorded a solution.</summary>
    public static IReadOnlyList<string> Optimizers(BenchmarkResult comparison) => [.. Shown(comparison).Select(r => r.Optimizer)];

    /// <summary>Null if there is nothing to show. Numbers have four digits; one that is not finite is null.</summary>
    public static object? Of(BenchmarkResult comparison) =>
        Shown(comparison) is [{ Solution: { } field }, ..] runs
            ? new
            {
                field.Axes,
                field.X,
                field.Y,
                field.Where,
                exact = Short(field.Solution),
                runs = runs.Select(r => new
                {
                    name = r.Optimizer,
                    frames = r.Solution!.Frames.Select(f => new
                    {
                        f.Step,
                        f.Seconds,
                        error = Short(f.Error),
                    }),
                }),
            }
            : null;

    private static List<TrainingRun> Shown(BenchmarkResult comparison) =>
        [.. comparison.Runs.Where(r => r.Solution is not null).DistinctBy(r => r.Optimizer)];

    private static IEnumerable<double?> Short(IEnumerable<float> values) =>
        values.Select(v =>
            float.IsFinite(v) ? double.Parse(v.ToString("G4", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) : (double?)null
        );
}
