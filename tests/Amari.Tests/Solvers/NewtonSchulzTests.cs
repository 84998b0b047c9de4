using Amari.Solvers;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Solvers;

/// <summary>Inverses by iteration against dense ones.</summary>
public sealed class NewtonSchulzTests() : KfacTest(51)
{
    [Theory, InlineData(ScalarType.Float32, 1e-3), InlineData(ScalarType.Float64, 1e-7)]
    public void Newton_Schulz_inverts_from_near_and_refuses_from_far(ScalarType type, double error)
    {
        var b = randn(3, 20, 30);
        var m = b.matmul(b.mT) / 30 + 0.1 * eye(20);
        var near = linalg.inv(m + 0.02 * b.matmul(b.mT) / 30).to_type(type);
        var (inverse, residual, iterations) = NewtonSchulz.Of(m.to_type(type), near);
        Assert.InRange(Dense.RelativeError(inverse!.to_type(ScalarType.Float64), linalg.inv(m)), 0, error);
        Assert.InRange(residual, 0, Math.Sqrt(finfo(type).eps));
        Assert.InRange(iterations, 1, 5);
        Assert.Null(NewtonSchulz.Of(m.to_type(type), 3 * near).Inverse);
        Assert.Null(NewtonSchulz.Of(m.to_type(type), full_like(near, double.NaN)).Inverse);
    }
}
