namespace Amari.Reporting;

/// <summary>The scale on which the costs of runs are compared: differences, or logarithms, and so ratios, where costs span
/// <see cref="Decades"/> decades and all are positive. A difference would say there only how bad the worst is.</summary>
internal sealed class CostScale
{
    /// <summary>From how many decades on ratios are compared.</summary>
    public const double Decades = 3;

    private const double Rounding = 1.0 / (1 << 23); // of float32, relative

    /// <param name="costs">The costs of all runs that are compared, lower is better. What is not finite does not count.</param>
    public CostScale(IEnumerable<double> costs)
    {
        List<double> finite = [.. costs.Where(double.IsFinite)];
        IsLogarithmic = finite.Count > 0 && finite.Min() > 0 && finite.Max() >= Math.Pow(10, Decades) * finite.Min();
    }

    /// <summary>Whether logarithms are compared.</summary>
    public bool IsLogarithmic { get; }

    /// <summary>The cost on this scale.</summary>
    public double Of(double cost) => IsLogarithmic ? Math.Log(cost) : cost;

    /// <summary>The cost of a computation in float32 on this scale, with its resolution.</summary>
    public MeasuredCost Measured(double cost) => new(Of(cost), IsLogarithmic ? Rounding : Rounding * Math.Abs(cost));

    /// <summary>The cost that has this value on the scale: the inverse of <see cref="Of"/>. Of a mean of logarithms it is the geometric
    /// mean, of a difference of logarithms the ratio.</summary>
    public double Back(double value) => IsLogarithmic ? Math.Exp(value) : value;

    /// <summary>Whether the second of two mean values on this scale is worse by <see cref="Contest.LargeFactor"/>; false where a ratio
    /// says nothing, as of two negative losses.</summary>
    public bool IsFar(double leader, double rival) =>
        IsLogarithmic ? rival - leader > Math.Log(Contest.LargeFactor) : leader >= 0 && rival > Contest.LargeFactor * leader;
}
