namespace Amari.Reporting;

/// <summary>The scale on which the costs of runs are compared: differences, or logarithms, and so ratios, where positive costs span
/// <see cref="Decades"/> decades. A difference would say there only how bad the worst is.</summary>
internal sealed class CostScale
{
    /// <summary>From how many decades on ratios are compared.</summary>
    public const double Decades = 3;

    private readonly double _least;

    /// <param name="costs">The costs of all runs that are compared, lower is better. What is not finite does not count.</param>
    public CostScale(IEnumerable<double> costs)
    {
        List<double> finite = [.. costs.Where(double.IsFinite)];
        List<double> positive = [.. finite.Where(c => c > 0)];
        IsLogarithmic = finite.All(c => c >= 0) && positive.Count > 0 && positive.Max() >= Math.Pow(10, Decades) * positive.Min();
        _least = IsLogarithmic ? positive.Min() : 0;
    }

    /// <summary>Whether logarithms are compared.</summary>
    public bool IsLogarithmic { get; }

    /// <summary>The cost on this scale. On the logarithmic one, a cost of 0 counts as the least positive one.</summary>
    public double Of(double cost) => IsLogarithmic ? Math.Log(Math.Max(cost, _least)) : cost;

    /// <summary>The cost that has this value on the scale: the inverse of <see cref="Of"/>. Of a mean of logarithms it is the geometric
    /// mean, of a difference of logarithms the ratio.</summary>
    public double Back(double value) => IsLogarithmic ? Math.Exp(value) : value;

    /// <summary>Whether the second of two mean values on this scale is worse by <see cref="Contest.LargeFactor"/>; false where a ratio
    /// says nothing, as of two negative losses.</summary>
    public bool IsFar(double leader, double rival) =>
        IsLogarithmic ? rival - leader > Math.Log(Contest.LargeFactor) : leader >= 0 && rival > Contest.LargeFactor * leader;
}
