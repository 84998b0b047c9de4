using Amari.Training;

namespace Amari.Reporting;

/// <summary>The finite values of a quantity in a run, or of the median over runs, against seconds or steps.</summary>
/// <param name="X">Seconds or steps, ascending.</param>
/// <param name="Y">The value there.</param>
/// <param name="Beyond">The value that counts after the last point, infinite because the run diverged or failed; null if the curve ends
/// there.</param>
internal sealed record Curve(double[] X, double[] Y, double? Beyond = null)
{
    public static Curve Of(TrainingRun run, CurveQuantity quantity, bool bySeconds)
    {
        var points = quantity.Points(run).Where(p => double.IsFinite(p.Value)).ToList();
        return new(
            [.. points.Select(p => bySeconds ? p.Seconds : p.Step)],
            [.. points.Select(p => p.Value)],
            run.Status is RunStatus.Diverged or RunStatus.Failed ? quantity.Worst : null
        );
    }

    /// <summary>The median at every point of any curve, up to the end of the shortest. A curve with a value beyond its end continues with
    /// it.</summary>
    /// <param name="curves">Of the runs.</param>
    /// <param name="isLogarithmic">Whether lines are straight on a logarithmic axis.</param>
    public static Curve Median(IReadOnlyList<Curve> curves, bool isLogarithmic = false)
    {
        var drawn = curves.Where(c => c.X.Length > 0).ToList();
        if (drawn.Count <= 1)
            return drawn.FirstOrDefault() ?? new([], []);
        double end = drawn.Where(c => c.Beyond is null).Select(c => c.X[^1]).DefaultIfEmpty(double.PositiveInfinity).Min();
        var points = drawn
            .SelectMany(c => c.X)
            .Where(x => x <= end)
            .Distinct()
            .Order()
            .Select(x => (X: x, Y: MedianAt(drawn, x, isLogarithmic)))
            .TakeWhile(p => double.IsFinite(p.Y))
            .ToList();
        return new([.. points.Select(p => p.X)], [.. points.Select(p => p.Y)]);
    }

    private static double MedianAt(List<Curve> curves, double x, bool isLogarithmic)
    {
        var sorted = curves.Select(c => c.At(x, isLogarithmic)).Order().ToList();
        double high = sorted[sorted.Count / 2];
        return sorted.Count % 2 == 1 || double.IsInfinity(high) ? high : (sorted[sorted.Count / 2 - 1] + high) / 2;
    }

    private double At(double x, bool isLogarithmic)
    {
        int right = Array.BinarySearch(X, x);
        if (right >= 0)
            return Y[right];
        right = ~right;
        if (right == 0)
            return Y[0];
        if (right == X.Length)
            return Beyond ?? Y[^1];
        double share = (x - X[right - 1]) / (X[right] - X[right - 1]);
        var (from, to) = (Y[right - 1], Y[right]);
        return isLogarithmic && from > 0 && to > 0 ? from * Math.Pow(to / from, share) : from + share * (to - from);
    }
}
