using Amari.Native;
using Amari.Solvers;
using Amari.Spectrum;

namespace Amari.Tests.Solvers;

/// <summary>Functions whose results share memory, with the vector or within themselves, and sums of them.</summary>
public sealed class LinearOperatorTests
{
    private const int D = 6;

    private static Tensor Vectors(int columns)
    {
        manual_seed(2);
        return randn(D, columns, dtype: ScalarType.Float64);
    }

    [Theory, InlineData(1), InlineData(3)]
    public void The_identity_as_a_function_that_returns_its_vector(int columns)
    {
        using var scope = NewDisposeScope();
        Tensor v = Vectors(columns),
            before = v.clone();
        var identity = LinearOperator.FromFunction(D, ScalarType.Float64, v => v);
        Assert.True((2 * identity + (0.5 * identity).Damped(2)).Apply(v).allclose(4.5 * before, 1e-14, 1e-14));
        identity.Apply(v).zero_();
        Assert.Equal(before.Elements<double>(), v.Elements<double>());
    }

    [Fact]
    public void Solvers_and_spectra_of_the_identity()
    {
        using var scope = NewDisposeScope();
        var identity = LinearOperator.FromFunction(D, ScalarType.Float64, v => v);
        using var pairs = Lanczos.Run(identity, new() { Count = 2 });
        Assert.All(pairs.Values, value => Assert.Equal(1, value, 14));
        var b = Vectors(1).squeeze(1);
        var x = ConjugateGradient.Solve(identity.Damped(3), b).Solution;
        Assert.True(x.allclose(b / 4, 1e-14, 1e-14));
    }

    [Theory, InlineData(1), InlineData(3)]
    public void A_function_whose_result_expands(int columns)
    {
        using var scope = NewDisposeScope();
        var v = Vectors(columns);
        var mean = LinearOperator.FromFunction(D, ScalarType.Float64, v => v.mean([0], keepdim: true).expand(D, -1));
        var expected = full([D, D], 1.0 / D, dtype: ScalarType.Float64).mm(v) + 2 * v;
        Assert.True(mean.Damped(2).Apply(v).allclose(expected, 1e-14, 1e-14));
    }

    [Fact]
    public void A_function_that_keeps_a_view_of_its_vector_leaves_it_alone()
    {
        using var scope = NewDisposeScope();
        Tensor v = Vectors(2),
            before = v.clone();
        var flipped = LinearOperator.FromFunction(D, ScalarType.Float64, v => v.narrow(0, 0, D));
        flipped.Damped(1).Apply(v);
        Assert.Equal(before.Elements<double>(), v.Elements<double>());
    }

    [Fact]
    public void Results_that_a_function_keeps_are_left_to_it()
    {
        using var scope = NewDisposeScope();
        Tensor kept = zeros(D, 1, dtype: ScalarType.Float64),
            v = Vectors(1);
        LinearOperator one = LinearOperator.FromFunction(D, ScalarType.Float64, v => kept.copy_(v)),
            two = LinearOperator.FromFunction(D, ScalarType.Float64, v => kept.copy_(2 * v));
        var first = one.Apply(v);
        two.Apply(v + 1);
        Assert.Equal(v.Elements<double>(), first.Elements<double>());
        for (int i = 0; i < 3; i++)
            Assert.True((one + two).Damped(1).Apply(v).allclose(4 * v, 1e-14, 1e-14));
        var view = LinearOperator.FromFunction(D, ScalarType.Float64, _ => kept.narrow(0, 0, D));
        (2 * view).Damped(1).Apply(v);
        Assert.Equal((2 * v).Elements<double>(), kept.Elements<double>());
        Assert.False(kept.IsInvalid);
    }

    [Fact]
    public void Numbers_and_operators_that_are_none_are_refused()
    {
        using var scope = NewDisposeScope();
        var op = LinearOperator.FromDense(eye(D));
        Assert.Throws<ArgumentOutOfRangeException>(() => op.Damped(double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>(() => double.PositiveInfinity * op);
        Assert.Throws<ArgumentNullException>(() => op + null!);
        Assert.Throws<ArgumentNullException>(() => LinearOperator.FromFunction(D, ScalarType.Float32, null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => LinearOperator.FromFunction(0, ScalarType.Float32, v => v));
    }

    [Fact]
    public void Another_shape_or_dtype_is_named()
    {
        using var scope = NewDisposeScope();
        var shorter = LinearOperator.FromFunction(D, ScalarType.Float64, v => v.narrow(0, 0, 2));
        var e = Assert.Throws<InvalidOperationException>(() => shorter.Apply(Vectors(3)));
        Assert.Contains("[6, 3] is Float64 [2, 3]", e.Message, StringComparison.Ordinal);
        var single = LinearOperator.FromFunction(D, ScalarType.Float64, v => v.to_type(ScalarType.Float32));
        Assert.Throws<InvalidOperationException>(() => single.Apply(Vectors(3)));
    }
}
