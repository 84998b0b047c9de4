using System.Runtime.CompilerServices;
using Amari.LeastSquares;
using Amari.Native;
using Amari.SecondOrder;

namespace Amari;

public sealed partial class LevenbergMarquardt
{
    /// <summary>Fits a curve to data by (weighted, robust) least squares, in float64:
    /// <c>Fit((b, x) => b[0] * exp(-b[1] * x), x, y, [100, 0.1])</c>.</summary>
    /// <param name="f">f(b, x) : [n], in differentiable operations on tensors; <c>b[0]</c>, <c>b[1]</c>, ... are its parameters, and
    /// <c>x[.., 0]</c>, ... the predictors if there are several.</param>
    /// <param name="x">[n], or [n, k] for k predictors; finite. Not owned.</param>
    /// <param name="y">[n], finite. Not owned.</param>
    /// <param name="start">The parameters from which the fit begins, as many as f has; finite and within the bounds.</param>
    /// <param name="options">Weights, bounds, a robust loss, tolerances; null takes the defaults.</param>
    /// <returns>The fit; its status says whether it converged. A function that is not finite at the start, or later, or has no minimum is
    /// no exception: then the parameters are those of the last good step.</returns>
    /// <exception cref="ArgumentException">Lengths differ; a number is not finite; there are fewer data than parameters; the start is
    /// outside of the bounds; or f does not return one number in float64 for each datum, or does not depend on b through operations on
    /// tensors.</exception>
    [OverloadResolutionPriority(1)] // an array of numbers is also a tensor
    public static CurveFit Fit(
        Func<Tensor, Tensor, Tensor> f,
        Tensor x,
        Tensor y,
        IReadOnlyList<double> start,
        CurveFitOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(f);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        ArgumentNullException.ThrowIfNull(start);
        using var scope = NewDisposeScope();
        return new CurveProblem(f, x, y, start, options ?? new()).Solve();
    }

    /// <summary>Fits a curve to data, from parameters in a tensor: see the other overload.</summary>
    /// <param name="f">f(b, x) : [n].</param>
    /// <param name="x">[n], or [n, k]. Not owned.</param>
    /// <param name="y">[n]. Not owned.</param>
    /// <param name="start">[p]. Not owned, and not changed.</param>
    /// <param name="options">Null takes the defaults.</param>
    /// <exception cref="ArgumentException">As of the other overload.</exception>
    public static CurveFit Fit(Func<Tensor, Tensor, Tensor> f, Tensor x, Tensor y, Tensor start, CurveFitOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(start);
        using var scope = NewDisposeScope();
        return Fit(f, x, y, start.detach().to(ScalarType.Float64, CPU).flatten().Elements<double>(), options);
    }

    /// <summary>Fits a curve of one predictor to data: see the other overload.</summary>
    /// <param name="f">f(b, x) : [n].</param>
    /// <param name="x">The predictor of each datum.</param>
    /// <param name="y">As many values.</param>
    /// <param name="start">The parameters from which the fit begins.</param>
    /// <param name="options">Null takes the defaults.</param>
    /// <exception cref="ArgumentException">As of the other overload.</exception>
    [OverloadResolutionPriority(2)]
    public static CurveFit Fit(
        Func<Tensor, Tensor, Tensor> f,
        double[] x,
        double[] y,
        IReadOnlyList<double> start,
        CurveFitOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        using var scope = NewDisposeScope();
        return Fit(f, tensor(x, dtype: ScalarType.Float64), tensor(y, dtype: ScalarType.Float64), start, options);
    }
}
