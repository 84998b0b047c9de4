using Amari.Curvature;
using Amari.Solvers;
using Amari.Spectrum;
using Amari.Tests.Spectrum;

namespace Amari.Tests.Contracts;

/// <summary>Operators of bfloat16 and float16 models: what libtorch does not decompose in these types is decomposed in float32.</summary>
public sealed class ShortTypeTests : IDisposable
{
    private const int D = 24;
    private static readonly double[] Values = [.. Enumerable.Range(0, D).Select(i => 4 * Math.Exp(-0.6 * i))];
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static Tensor Dense(ScalarType type) => Matrices.With(Values).to_type(type);

    [Theory, InlineData(ScalarType.BFloat16), InlineData(ScalarType.Float16)]
    public void Traces_and_diagonals_are_those_of_the_matrix(ScalarType type)
    {
        var dense = Dense(type);
        var (op, exact) = (LinearOperator.FromDense(dense), dense.to_type(ScalarType.Float64));
        double rounding = finfo(type).eps,
            trace = exact.diagonal().sum().ToDouble();
        Assert.InRange(XTrace.Trace(op, 20).Value / trace, 1 - 10 * rounding, 1 + 10 * rounding);
        Assert.InRange(HutchPlusPlus.Trace(op, 30).Value / trace, 1 - 10 * rounding, 1 + 10 * rounding);
        var (value, error) = XDiag.Diagonal(op, 30);
        Assert.Equal((type, type), (value.dtype, error.dtype));
        Assert.True((value.to_type(ScalarType.Float64) - exact.diagonal()).abs().max().ToDouble() < 20 * rounding);
    }

    [Theory, InlineData(ScalarType.BFloat16), InlineData(ScalarType.Float16)]
    public void Inverses_are_those_of_the_matrix(ScalarType type)
    {
        var op = LinearOperator.FromDense(Dense(type)).Damped(1);
        using var inverse = new CholeskyInverse(op);
        var b = ones(D, dtype: type);
        var x = inverse.Apply(b);
        Assert.Equal((type, InverseStatus.Solved), (x.dtype, inverse.LastReport!.Status));
        var expected = linalg
            .solve(Dense(type).to_type(ScalarType.Float64) + eye(D, dtype: ScalarType.Float64), ones(D, 1, dtype: ScalarType.Float64))
            .squeeze(1);
        Assert.True((x.to_type(ScalarType.Float64) - expected).abs().max().ToDouble() < 10 * finfo(type).eps);
    }

    [Theory, InlineData(ScalarType.BFloat16), InlineData(ScalarType.Float16)]
    public void What_a_model_is_measured_by_is_near_that_in_float32(ScalarType type)
    {
        manual_seed(7);
        var model = nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 3)));
        var (x, y) = (randn(32, 4), randint(0, 3, [32]));
        double expected = Trace(model, x);
        model.to(type);
        Assert.InRange(Trace(model, x.to_type(type)) / expected, 0.9, 1.1);

        double Trace(nn.Module<Tensor, Tensor> m, Tensor inputs) =>
            XTrace.Trace(new GaussNewton(new Objective(m, new Categorical(), [(inputs, y)])), 64).Value;
    }
}
