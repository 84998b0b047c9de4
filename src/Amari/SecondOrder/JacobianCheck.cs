using Amari.LeastSquares;

namespace Amari.SecondOrder;

/// <summary>Whether J is the derivative of the residuals: J v against differences of them, row by row, with v = ± |w|.</summary>
/// <remarks><code>
/// c(h) = (r(w + h v) - r(w - h v)) / 2h,   b(h) = (r(w + h v) - 2 r + r(w - h v)) / h,   h = 0.01, 0.01/4, ..
/// </code>A row of J is wrong if no h confirms it, and if at three h in a row it is ten times as far from c(h) as the slopes of both sides
/// and of the next h are from each other. So kinks, bounds and rounding do not count against it.</remarks>
internal static class JacobianCheck
{
    private const int Levels = 12,
        InARow = 3;
    private const double Largest = 1e-2,
        Ratio = 4,
        Confidence = 10, // of what differences leave open
        Confirmed = 1e-3; // of the largest change

    /// <summary>Evaluations of the residuals that it takes.</summary>
    public const int Evaluations = 2 * Levels;

    /// <summary>The row that is wrong by most; null if none is, or differences do not show it.</summary>
    public static WrongRow? Find(Residuals residuals)
    {
        using var scope = NewDisposeScope();
        using var at = residuals.Linearize();
        using var off = no_grad();
        if (at.IsHeld)
            return null; // its columns are zeros on purpose
        var w = residuals.Parameters.Read();
        using var generator = new Generator(0, w.device);
        var signs = rand(w.shape, dtype: w.dtype, device: w.device, generator: generator).sub_(0.5).sign_();
        var v = signs * where(w.eq(0), ones_like(w), w.abs());
        var claim = at.Apply(v);
        Tensor? last = null,
            nearest = null,
            row = null, // how many h in a row speak against it
            against = null; // whether enough did
        double size = claim.abs().max().ToDouble();
        try
        {
            for (int k = 0; k < Levels; k++)
            {
                double h = Largest / Math.Pow(Ratio, k);
                residuals.Parameters.Write(w.add(v, alpha: h));
                var plus = residuals.ValuesOf(at);
                residuals.Parameters.Write(w.add(v, alpha: -h));
                var minus = residuals.ValuesOf(at);
                var slope = (plus - minus) / (2 * h);
                var error = (slope - claim).abs();
                if (!double.IsFinite(error.max().ToDouble()))
                    continue; // outside of their domain
                var open = ((plus + minus - 2 * at.R) / h).abs();
                if (last is not null)
                    open = open.maximum((slope - last).abs());
                size = Math.Max(size, slope.abs().max().ToDouble());
                nearest = nearest is null ? error : nearest.minimum(error);
                var doubtful = error.gt(open * Confidence);
                row = row is null ? doubtful.to_type(ScalarType.Int32) : (row + 1) * doubtful;
                against = against is null ? row.ge(InARow) : against.logical_or(row.ge(InARow));
                last = slope;
            }
        }
        finally
        {
            residuals.Parameters.Write(w);
        }
        if (nearest is null || !double.IsFinite(size))
            return null;
        var wrong = against!.logical_and(nearest.gt(Confirmed * size));
        if (!wrong.any().ToBoolean())
            return null;
        long worst = nearest.masked_fill(wrong.logical_not(), -1).argmax().ToInt64();
        return new(worst, last![worst].ToDouble(), claim[worst].ToDouble());
    }
}
