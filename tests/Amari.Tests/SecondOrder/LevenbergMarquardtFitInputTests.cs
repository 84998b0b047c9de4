namespace Amari.Tests.SecondOrder;

/// <summary>Bad input of curve fits: one sentence with the value and what is allowed.</summary>
public sealed class LevenbergMarquardtFitInputTests
{
    private static readonly double[] X = [1, 2, 3, 4],
        Y = [2, 3, 5, 7];

    private static Tensor Line(Tensor b, Tensor x) => b[0] + b[1] * x;

    private static void AssertRefused(string expected, Action fit)
    {
        string message = Assert.ThrowsAny<ArgumentException>(fit).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain("\n", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Data_that_do_not_fit_are_refused()
    {
        AssertRefused(
            "y is [3]; it must be [4], a number for each of the 4 values of x.",
            () => LevenbergMarquardt.Fit(Line, X, Y[..3], [0, 0])
        );
        AssertRefused("x is [0]; it must be [n]", () => LevenbergMarquardt.Fit(Line, Array.Empty<double>(), Array.Empty<double>(), [0, 0]));
        AssertRefused("y[2] is NaN; the data must be finite.", () => LevenbergMarquardt.Fit(Line, X, [1, 2, double.NaN, 4], [0, 0]));
        AssertRefused("x[0] is Infinity; the data", () => LevenbergMarquardt.Fit(Line, [double.PositiveInfinity, 1, 2, 3], Y, [0, 0]));
        AssertRefused("There is 1 datum for 2 parameters", () => LevenbergMarquardt.Fit(Line, X[..1], Y[..1], [0, 0]));
        using var x = torch.ones([4, 2, 1]);
        using var y = torch.ones(4);
        AssertRefused("x is [4, 2, 1]; it must be [n]", () => LevenbergMarquardt.Fit(Line, x, y, [0, 0]));
    }

    [Fact]
    public void Starts_that_do_not_fit_are_refused()
    {
        AssertRefused("start is empty", () => LevenbergMarquardt.Fit(Line, X, Y, []));
        AssertRefused("start[1] is NaN; it must be finite.", () => LevenbergMarquardt.Fit(Line, X, Y, [0, double.NaN]));
        AssertRefused(
            "start[1] is -1; it must be within its bounds, 0 and Infinity.",
            () => LevenbergMarquardt.Fit(Line, X, Y, [0, -1], new() { Lower = [double.NegativeInfinity, 0] })
        );
    }

    [Fact]
    public void Options_that_do_not_fit_are_refused()
    {
        void Refused(string expected, CurveFitOptions options) =>
            AssertRefused(expected, () => LevenbergMarquardt.Fit(Line, X, Y, [0, 0], options));
        Refused("There are 3 weights for 4 data", new() { Weights = [1, 1, 1] });
        Refused("A weight is -1; it must be a finite number >= 0.", new() { Weights = [1, -1, 1, 1] });
        Refused("A weight is NaN;", new() { Weights = [1, double.NaN, 1, 1] });
        Refused("There is 1 datum for 2 parameters", new() { Weights = [0, 0, 0, 1] });
        Refused("The largest |w y| is 7E-170, whose square", new() { Weights = [.. Y.Select(_ => 1e-170)] });
        Refused("LossScale is 1E-300; it must be at least", new() { Loss = RobustLoss.Huber, LossScale = 1e-300 });
        Refused("LearningRate of Method is 0", new() { Method = new() { LearningRate = 0 } });
        Refused("AbsoluteWeights needs Weights", new() { AbsoluteWeights = true });
        Refused(
            "AbsoluteWeights needs the loss Squares; it is Huber",
            new()
            {
                Weights = Y,
                AbsoluteWeights = true,
                Loss = RobustLoss.Huber,
            }
        );
        Refused("Lower has 1 bound for 2 parameters", new() { Lower = [0] });
        Refused("The bounds of parameter 1 are 2 and 1; the lower one must be smaller.", new() { Lower = [-1, 2], Upper = [1, 1] });
        Refused("The bounds of parameter 0 are NaN and", new() { Lower = [double.NaN, 0] });
        Refused("There is 1 name for 2 parameters", new() { Names = ["a"] });
        Assert.Throws<ArgumentOutOfRangeException>(() => new CurveFitOptions { LossScale = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new CurveFitOptions { MaxSteps = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new CurveFitOptions { Loss = (RobustLoss)9 });
    }

    [Fact]
    public void Functions_that_do_not_fit_are_refused()
    {
        AssertRefused("The function returned [2] for 4 data", () => LevenbergMarquardt.Fit((b, _) => b, X, Y, [0, 0]));
        AssertRefused("The function returned null for 4 data", () => LevenbergMarquardt.Fit((_, _) => null!, X, Y, [0, 0]));
        AssertRefused("The function failed with [2] parameters and x [4]: ", () => LevenbergMarquardt.Fit((b, _) => b[2], X, Y, [0, 0]));
        Assert.Throws<NotSupportedException>(() => LevenbergMarquardt.Fit((_, _) => throw new NotSupportedException(), X, Y, [0, 0]));
        var band = LevenbergMarquardt.Fit(Line, X, Y, [0, 0]);
        AssertRefused("level is 2; it must be in (0, 1). (Parameter 'level')", () => band.Band(X, 2));
    }

    [Fact]
    public void Functions_without_a_derivative_are_refused()
    {
        const string expected = "do not depend on its parameters through operations on tensors";
        AssertRefused(expected, () => LevenbergMarquardt.Fit((b, x) => b[0].ToDouble() * x, X, Y, [1]));
        AssertRefused(expected, () => LevenbergMarquardt.Fit((b, x) => b.detach()[0] * x, X, Y, [1]));
        AssertRefused(expected, () => LevenbergMarquardt.Fit((_, x) => x, X, Y, [1]));
        AssertRefused(
            expected,
            () =>
                LevenbergMarquardt.Fit(
                    (b, x) =>
                    {
                        using var off = torch.no_grad();
                        return b[0] * x;
                    },
                    X,
                    Y,
                    [1]
                )
        );
        var flat = LevenbergMarquardt.Fit((b, x) => torch.round(b[0] * x), X, Y, [1]);
        Assert.Equal((LeastSquaresStatus.Stuck, false), (flat.Status, flat.Converged));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.ComplexFloat64)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Bool)]
    public void Results_of_another_type_are_refused(ScalarType type) =>
        AssertRefused(
            $"The function returned numbers of type {type}; they must be Float64",
            () => LevenbergMarquardt.Fit((b, x) => (b[0] * x).to_type(type), X, Y, [1])
        );
}
