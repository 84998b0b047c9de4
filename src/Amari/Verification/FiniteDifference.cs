namespace Amari.Verification;

/// <summary>The derivative along a line by central differences at nine step sizes, each pair extrapolated once (Richardson).</summary>
/// <remarks><code>
/// D(h) = (f(h) - f(-h)) / 2h,   estimate = (16 D(h/4) - D(h)) / 15,   error O(h⁴) + rounding / h
/// </code>A value that any of them confirms is right: a wrong one does not meet them by accident. One that none confirms is wrong if the
/// differences agree among themselves better than with it; else they cannot tell, as at the kink of a ReLU, where f has two slopes.</remarks>
internal sealed class FiniteDifference
{
    private const int Levels = 9;
    private const double Ratio = 4, Largest = 1e-2;
    private const double Sure = 10;                            // how much closer to each other than to the value

    /// <param name="f">The function at t on the line, a tensor of any shape.</param>
    /// <param name="unit">What a step of 1 is: the size of the numbers that change.</param>
    public FiniteDifference(Func<double, Tensor> f, double unit = 1)
    {
        var middle = f(0);
        var slopes = new List<Tensor>();
        double h = Largest * unit;
        for (int k = 0; k < Levels; k++, h /= Ratio)
        {
            Tensor plus = f(h), minus = f(-h);
            slopes.Add((plus - minus) / (2 * h));
            Bends.Add((plus + minus - 2 * middle) / h);
        }
        for (int k = 0; k + 1 < Levels; k++) Estimates.Add((slopes[k + 1] * 16 - slopes[k]) / 15);
    }

    private FiniteDifference(IEnumerable<Tensor> estimates) => Estimates.AddRange(estimates);

    /// <summary>From the largest step to the smallest.</summary>
    public List<Tensor> Estimates { get; } = [];

    /// <summary>The difference of the slopes on either side, for each step: it shrinks with the step where f is smooth.</summary>
    private List<Tensor> Bends { get; } = [];

    /// <summary>A linear map of the derivative.</summary>
    public FiniteDifference Map(Func<Tensor, Tensor> map) => new(Estimates.Select(map));

    /// <summary>Holds a value against the part of the derivative that it claims to be.</summary>
    /// <param name="value">The claim.</param>
    /// <param name="part">Picks it out of the derivative.</param>
    /// <param name="floor">The error is relative to the norm of the derivative or, if that is smaller, to this.</param>
    /// <param name="tolerance">Largest relative error.</param>
    public (double Error, CheckOutcome Outcome) Hold(Tensor value, Func<Tensor, Tensor> part, double floor, double tolerance)
    {
        using var scope = NewDisposeScope();
        var parts = Estimates.ConvertAll(e => part(e));
        double scale = Math.Max(floor, parts.Select(Norm).Append(Norm(value)).Min());
        if (scale == 0) scale = Math.Max(Norm(value), double.Epsilon);
        var errors = parts.ConvertAll(e => Norm(e - value) / scale);
        if (errors.Min() is var best && best <= tolerance) return (best, CheckOutcome.Passed);
        double doubt = Enumerable.Range(1, parts.Count - 1).Min(k => Norm(parts[k] - parts[k - 1])) / scale;
        bool kink = false;
        if (Bends.Count > 0)
        {
            var bends = Bends[3..6].ConvertAll(b => Norm(part(b)));
            kink = bends[2] > bends[1] / 2 && bends[1] > bends[0] / 2 && bends[2] > tolerance * scale;
        }
        return (best, best > Sure * doubt && !kink || !double.IsFinite(best) ? CheckOutcome.Failed : CheckOutcome.Inconclusive);

        static double Norm(Tensor t) => t.norm().ToDouble();
    }
}
