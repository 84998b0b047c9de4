namespace Amari.LeastSquares;

/// <summary>A function f(b, x) of few parameters as a model, so that any optimizer can fit it to data: x : [n] or [n, k] → f :
/// [n].</summary>
/// <remarks><c>LevenbergMarquardt</c> takes its exact second derivatives. To fit a curve in one line, use
/// <c>LevenbergMarquardt.Fit</c>.</remarks>
public sealed class CurveModel : nn.Module<Tensor, Tensor>
{
#pragma warning disable IDE1006 // the name of the field is that of the parameter in saved files
    private readonly Parameter b;
#pragma warning restore IDE1006

    /// <param name="f">f(b, x) : [n], in operations on tensors.</param>
    /// <param name="start">The values of b at first, at least one, finite.</param>
    public CurveModel(Func<Tensor, Tensor, Tensor> f, IReadOnlyList<double> start)
        : base(nameof(CurveModel))
    {
        ArgumentNullException.ThrowIfNull(f);
        ArgumentNullException.ThrowIfNull(start);
        if (start.Count == 0 || !start.All(double.IsFinite))
            throw new ArgumentException($"start is [{string.Join(", ", start)}]; it must be at least one finite number.", nameof(start));
        Function = new(f);
        b = new(tensor((double[])[.. start], dtype: ScalarType.Float64));
        RegisterComponents();
    }

    /// <summary>b : [p], float64.</summary>
    public Parameter B => b;

    /// <summary>f.</summary>
    internal CurveFunction Function { get; }

    /// <summary>f(b, x) : [n].</summary>
    /// <param name="input">x : [n] or [n, k].</param>
    /// <exception cref="ArgumentException">The function did not return one number for each datum.</exception>
    public override Tensor forward(Tensor input) => Function.Values(b, input);
}
