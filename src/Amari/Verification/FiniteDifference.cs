namespace Amari.Verification;

/// <summary>The derivative along a line by central differences at nine step sizes, with Richardson extrapolation of each pair.</summary>
/// <remarks><code>
/// D(h) = (f(h) - f(-h)) / 2h,   estimate = (16 D(h/4) - D(h)) / 15,   error O(h⁴) + rounding / h
/// </code>A value that any estimate confirms is right, because a wrong value does not match one by accident. A value that none confirms is
/// wrong if the estimates agree among themselves much better than with it, and the slope is equal on both sides. Otherwise they are
/// inconclusive, as at the kink of a ReLU. If f is so flat that its rounding dominates, a large step has to confirm only the digits that
/// rounding leaves.</remarks>
internal sealed class FiniteDifference
{
    private const int Levels = 9,
        LargeSteps = 4;
    private const double Ratio = 4,
        Largest = 1e-2;
    private const double ConfidenceRatio = 10; // ratio of the distances to the value and among the estimates
    private const double MaxRoundingError = 1e-2,
        RoundingMargin = 8;
    private readonly double[] _steps = new double[Levels];
    private readonly List<Tensor> _estimates = [],
        _bends = []; // a bend is the difference between the slopes on both sides

    /// <param name="f">The function at t on the line: a tensor of any shape.</param>
    /// <param name="unit">The size of the numbers that change, which a step of 1 stands for.</param>
    public FiniteDifference(Func<double, Tensor> f, double unit = 1)
    {
        var middle = f(0);
        var slopes = new List<Tensor>();
        for (int k = 0; k < Levels; k++)
        {
            using var scope = NewDisposeScope();
            double h = _steps[k] = Largest * unit / Math.Pow(Ratio, k);
            Tensor plus = f(h),
                minus = f(-h);
            slopes.Add(((plus - minus) / (2 * h)).MoveToOuterDisposeScope());
            _bends.Add(((plus + minus - 2 * middle) / h).MoveToOuterDisposeScope());
        }
        for (int k = 0; k + 1 < Levels; k++)
        {
            using var scope = NewDisposeScope();
            _estimates.Add(((slopes[k + 1] * 16 - slopes[k]) / 15).MoveToOuterDisposeScope());
            slopes[k].Dispose();
        }
    }

    private FiniteDifference(FiniteDifference of, Func<Tensor, Tensor> map)
    {
        _steps = of._steps;
        _estimates.AddRange(of._estimates.Select(Retained));
        _bends.AddRange(of._bends.Select(Retained));

        Tensor Retained(Tensor t)
        {
            using var scope = NewDisposeScope();
            return map(t).MoveToOuterDisposeScope();
        }
    }

    /// <summary>A linear map of the derivative.</summary>
    public FiniteDifference Map(Func<Tensor, Tensor> map) => new(this, map);

    /// <summary>Compares a value with the part of the derivative that it should equal.</summary>
    /// <param name="value">The value.</param>
    /// <param name="part">Selects the part of the derivative.</param>
    /// <param name="floor">The error is relative to the norm of the derivative, or to this if that is smaller.</param>
    /// <param name="tolerance">Maximum relative error.</param>
    public (double Error, CheckOutcome Outcome) Compare(Tensor value, Func<Tensor, Tensor> part, double floor, double tolerance)
    {
        using var scope = NewDisposeScope();
        var parts = _estimates.ConvertAll(e => part(e));
        var bends = _bends.ConvertAll(b => Norm(part(b)));
        double scale = Math.Max(floor, parts.Select(Norm).Append(Norm(value)).Min());
        if (scale == 0)
            scale = Math.Max(Norm(value), double.Epsilon);
        var errors = parts.ConvertAll(e => Norm(e - value) / scale);

        double rounding = Math.Max(bends[^1] * _steps[^1], bends[^2] * _steps[^2]); // the rounding error of f
        double RoundingError(int k) => RoundingMargin * rounding / _steps[k + 1] / scale; // the rounding error of an estimate
        for (int k = 0; k < errors.Count; k++)
            if (errors[k] <= Math.Max(tolerance, k < LargeSteps ? Math.Min(MaxRoundingError, RoundingError(k)) : 0))
                return (errors.Min(), CheckOutcome.Passed);

        double best = errors.Min(),
            doubt = Enumerable.Range(1, parts.Count - 1).Min(k => Norm(parts[k] - parts[k - 1])) / scale;
        bool kink = bends[5] > bends[4] / 2 && bends[4] > bends[3] / 2 && bends[5] > tolerance * scale;
        return (
            best,
            !double.IsFinite(best) || (best > ConfidenceRatio * doubt && best > RoundingError(0) && !kink)
                ? CheckOutcome.Failed
                : CheckOutcome.Inconclusive
        );

        static double Norm(Tensor t) => t.norm().ToDouble();
    }
}
