using System.Runtime.InteropServices;
using Amari.Native;

namespace Amari.LeastSquares;

/// <summary>A user's f(b, x) : [n] of parameters b : [p] and data x : [n] or [n, k], and whether it is pointwise: f_i depends on x_i and b
/// alone.</summary>
/// <remarks>A pointwise function also takes b : [p, n], a column for each datum, because <c>b[i]</c> is then a vector in place of a number.
/// One backward pass of Σ f gives all of its Jacobian.</remarks>
internal sealed class CurveFunction(Func<Tensor, Tensor, Tensor> f)
{
    /// <summary>Whether it is pointwise; null while <see cref="Examine"/> has not found it out.</summary>
    public bool? IsPointwise { get; private set; }

    /// <summary>f(b, x) : [n], with the graph that b gives it.</summary>
    /// <param name="b">[p], or [p, n].</param>
    /// <param name="x">[n] or [n, k].</param>
    /// <exception cref="ArgumentException">The function failed in libtorch, or returned anything but n numbers of the type of
    /// b.</exception>
    public Tensor Values(Tensor b, Tensor x)
    {
        long n = x.shape[0];
        Tensor y;
        try
        {
            y = f(b, x);
        }
        catch (ExternalException e)
        {
            throw new ArgumentException(
                $"The function failed with {Shape(b.shape)} parameters and x {Shape(x.shape)}: "
                    + $"{DerivativeFailure.Reason(e.Message).TrimEnd('.')}.",
                e
            );
        }
        if (y is null || y.dim() > 1 || (y.dim() == 1 && y.shape[0] != n))
            throw new ArgumentException(
                $"The function returned {(y is null ? "null" : Shape(y.shape))} for {n} data; it must return one number for each, [{n}]."
            );
        if (!y.is_floating_point() || (y.dtype != b.dtype && x.dtype == b.dtype))
            throw new ArgumentException($"The function returned numbers of type {y.dtype}; they must be {b.dtype}, as its parameters are.");
        if (y.dim() == 0)
            y = y.expand(n);
        return y.dtype == b.dtype ? y : y.to_type(b.dtype);

        static string Shape(long[] shape) => $"[{string.Join(", ", shape)}]";
    }

    /// <summary>Finds out whether the function is pointwise: with a column of parameters for each datum it has the same values, the
    /// derivative of Σ c f with respect to column i is c_i times that of Σ f, and their sum is the derivative with respect to b; at b and
    /// near b. One that is not is reported on standard error. A single datum cannot show it, and leaves it open.</summary>
    /// <param name="b">[p].</param>
    /// <param name="x">The data.</param>
    /// <exception cref="ArgumentException">The values do not depend on b through operations on tensors.</exception>
    /// <returns>Whether it is so on these data.</returns>
    public bool Examine(Tensor b, Tensor x)
    {
        if (IsPointwise is { } known)
            return known;
        using var scope = NewDisposeScope();
        RequireDerivative(b, x);
        var (at, last) = (b.detach(), b.shape[0]);
        var pattern = linspace(1, 2, last, dtype: b.dtype, device: b.device);
        var near = at + 0.01 * pattern * (at.abs() + 0.01);
        bool pointwise = AgreesAt(at, x) && AgreesAt(near, x);
        if (x.shape[0] == 1)
            return pointwise;
        IsPointwise = true;
        if (!pointwise)
            Refute();
        return pointwise;
    }

    /// <summary>It has turned out not to be pointwise; this is reported on standard error.</summary>
    public void Refute()
    {
        IsPointwise = false;
        Warnings.Once(
            "A curve's values depend on other data than their own, or on the shape of the parameters: its Jacobian is computed row by "
                + "row, one backward pass for each datum. Write it in terms of b[0], b[1], ... and elementwise operations."
        );
    }

    private void RequireDerivative(Tensor b, Tensor x)
    {
        using var on = enable_grad();
        if (!Values(b.detach().clone().requires_grad_(true), x).requires_grad)
            throw new ArgumentException(
                "The function's values do not depend on its parameters through operations on tensors, so they have no derivative: use "
                    + "b[0], b[1], ... as tensors, without ToDouble(), detach() or no_grad()."
            );
    }

    private bool AgreesAt(Tensor b, Tensor x)
    {
        using var scope = NewDisposeScope();
        using var on = enable_grad();
        var (one, each) = (b.clone().requires_grad_(true), Repeated(b, x.shape[0]).requires_grad_(true));
        var c = arange(x.shape[0], dtype: b.dtype, device: b.device).cos_();
        var expected = Values(one, x);
        try
        {
            var found = Values(each, x);
            if (!Close(found, expected))
                return false;
            if (!expected.requires_grad || !found.requires_grad)
                return expected.requires_grad == found.requires_grad;
            var (weighted, plain) = (Derivative(found, each, c), Derivative(found, each, ones_like(c)));
            return Close(weighted, plain * c) && Close(weighted.sum(1), Derivative(expected, one, c));
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return false; // what the function cannot take; with plain parameters it can
        }
    }

    /// <summary>b : [p] as [p, n], a column for each datum.</summary>
    public static Tensor Repeated(Tensor b, long n) => b.unsqueeze(1).expand(b.shape[0], n).clone();

    /// <summary>Whether J'c, for a c of all signs, is the derivative of c'r by parameters that all data share. Where a value depends on the
    /// parameters of another datum, it is not.</summary>
    /// <param name="r">Functions [n] of parameters [p].</param>
    /// <param name="b">[p].</param>
    /// <param name="at">J, by columns of parameters for each datum.</param>
    public static bool Confirms(Func<Tensor, Tensor> r, Tensor b, Linearization at)
    {
        using var scope = NewDisposeScope();
        using var on = enable_grad();
        var one = b.detach().clone().requires_grad_(true);
        var values = r(one);
        var c = arange(values.shape[0], dtype: b.dtype, device: b.device).cos_();
        var expected = values.requires_grad ? Derivative(values, one, c) : zeros_like(b);
        return Close(at.ApplyTransposed(c), expected); // not the values: small differences of large numbers
    }

    private static Tensor Derivative(Tensor y, Tensor b, Tensor c) =>
        ReverseMode.Derivative([y], [b], [c], again: true)[0] ?? zeros_like(b);

    private static bool Close(Tensor found, Tensor expected)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        double tolerance = Math.Sqrt(finfo(found.dtype).eps);
        var size = expected.nan_to_num(0, 0, 0).abs().amax([-1L], keepdim: true); // of a row of J, or of all values
        return ((found - expected).abs().le(tolerance * size) | found.eq(expected) | (found.isnan() & expected.isnan())).all().ToBoolean();
    }
}
