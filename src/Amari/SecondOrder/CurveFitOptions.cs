using Amari.Native;

namespace Amari;

/// <summary>Options of <see cref="LevenbergMarquardt"/>'s <c>Fit</c>.</summary>
public sealed record CurveFitOptions
{
    /// <summary>A weight for each datum, at least 0, usually 1 / σ of its noise: the fit minimises Σ (w (f - y))². Null for ones.</summary>
    public IReadOnlyList<double>? Weights { get; init; }

    /// <summary>Whether the weights are 1 / σ with known σ, so that the spread of the residuals does not enter the standard errors. It
    /// needs <see cref="Weights"/> and the loss <see cref="RobustLoss.Squares"/>.</summary>
    public bool AbsoluteWeights { get; init; }

    /// <summary>A lower bound for each parameter, -∞ for none; null for none at all.</summary>
    public IReadOnlyList<double>? Lower { get; init; }

    /// <summary>An upper bound for each parameter, +∞ for none; null for none at all.</summary>
    public IReadOnlyList<double>? Upper { get; init; }

    /// <summary>How the size of a weighted residual counts.</summary>
    public RobustLoss Loss
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>The size from which a weighted residual is an outlier, > 0, in the unit of y without weights. It has no effect on
    /// <see cref="RobustLoss.Squares"/>.</summary>
    public double LossScale
    {
        get;
        init => field = Require.Positive(value);
    } = 1;

    /// <summary>A name for each parameter; null for <c>b[0]</c>, <c>b[1]</c>, ...</summary>
    public IReadOnlyList<string>? Names { get; init; }

    /// <summary>Maximum number of steps, ≥ 1.</summary>
    public int MaxSteps
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 5000;

    /// <summary>When the fit counts as converged; null takes <see cref="LeastSquaresTolerances.ToRounding"/>.</summary>
    public LeastSquaresTolerances? Tolerances { get; init; }

    /// <summary>The options of the method; null takes the defaults with the solver QR, the most exact.</summary>
    public LevenbergMarquardt.Options? Method { get; init; }
}
