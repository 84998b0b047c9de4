using Amari.LeastSquares;
using Amari.Verification;

namespace Amari.Tests.Verification;

public sealed class DerivativeChecksTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static IEnumerable<CheckOutcome> Outcomes(Func<Tensor, Tensor, Tensor> f, double[] b)
    {
        var x = linspace(70, 760, 14, dtype: ScalarType.Float64);
        var model = new CurveModel(f, b);
        return Verifier
            .Verify(model, new SquaredError(), x, 0.1 * x)
            .Checks.Where(c => c.Name is "gradient" or "hessian product")
            .Select(c => c.Outcome);
    }

    [Fact]
    public void Numbers_of_very_different_size_agree()
    {
        CheckOutcome[] agree = [CheckOutcome.Passed, CheckOutcome.Passed];
        Assert.Equal(agree, Outcomes((b, x) => b[0] * (1 - exp(-b[1] * x)), [500, 1e-4]));
        Assert.Equal(agree, Outcomes((b, x) => (b[0] + b[1] * x) / (1 + b[2] * x + b[3] * x * x * x), [10, -1, 1e-3, -1e-8]));
    }

    [Fact]
    public void A_wrong_derivative_of_badly_scaled_numbers_fails() =>
        Assert.Contains(CheckOutcome.Failed, Outcomes((b, x) => b[0] * (1 - exp(-WrongTanh.apply(b[1] * x))), [500, 1e-4]));
}
