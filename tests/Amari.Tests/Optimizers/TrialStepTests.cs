using Amari.Curvature;
using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

/// <summary>Steps on L = Σ w², tried and taken back.</summary>
public sealed class TrialStepTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Parameter _w = new(tensor([0.1, -3], dtype: ScalarType.Float64));
    private readonly Objective _objective;

    public TrialStepTests() => _objective = new(() => _w.square().sum(), new ParameterLayout([("w", _w)]));

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Parameters_come_back_bit_for_bit()
    {
        var w = _w.detach().clone();
        using var trial = new TrialStep(_objective, _objective.Loss());
        var d = tensor([0.3, 1.1], dtype: ScalarType.Float64);
        Assert.Equal((w + 0.7 * d).square().sum().ToDouble(), trial.LossAt(d, 0.7), 1e-14);
        Assert.Equal(trial.Loss(), _objective.Loss());
        trial.TakeBack();
        Assert.True(_w.equal(w).all().ToBoolean());
        trial.Move(d, 1);
        Assert.True(_w.equal(w + d).all().ToBoolean());
    }

    [Theory]
    [InlineData(0.5, 1.0, 0.5)]
    [InlineData(1.5, 1.0, -0.5)]
    [InlineData(double.NaN, 1.0, double.NegativeInfinity)]
    [InlineData(double.PositiveInfinity, 1.0, double.NegativeInfinity)]
    [InlineData(1.0, 0.0, 1.0)]
    [InlineData(1.5, -1.0, double.NegativeInfinity)]
    [InlineData(0.5, -1.0, 1.0)]
    public void Ratio_is_of_the_actual_to_the_predicted_reduction(double after, double predicted, double expected) =>
        Assert.Equal(expected, new TrialStep(_objective, 1).ReductionRatio(after, predicted), 1e-12);

    [Fact]
    public void Reductions_below_rounding_count_as_predicted()
    {
        using var trial = new TrialStep(_objective, 1);
        Assert.Equal(10 * Math.Pow(2, -52), trial.Rounding);
        double tiny = 1e-3 * trial.Rounding;
        Assert.InRange(trial.ReductionRatio(1 + tiny, tiny), 0.99, 1);
        Assert.False(trial.Rises(1 + trial.Rounding / 2));
        Assert.True(trial.Rises(1 + 2 * trial.Rounding));
        Assert.True(trial.Rises(double.NaN));
    }

    [Fact]
    public void Parameters_that_were_not_kept_cannot_be_put_back()
    {
        using var trial = new TrialStep(_objective, 1, restorable: false);
        Assert.Throws<InvalidOperationException>(trial.TakeBack);
    }

    [Fact]
    public void What_rounding_makes_of_the_terms_says_nothing()
    {
        var model = nn.Linear(1, 2, hasBias: false).to(ScalarType.Float64);
        Tensor x = ones(1, 1, dtype: ScalarType.Float64),
            y = zeros(1, dtype: ScalarType.Int64);
        using var logarithms = new TrialStep(new Objective(model, new Categorical(), [(x, y)]), 0);
        double eps = Math.Pow(2, -52);
        Assert.Equal(0, logarithms.Rounding);
        Assert.True(logarithms.Hides(0, 5 * eps));
        Assert.False(logarithms.Hides(0, 20 * eps));
        Assert.False(logarithms.Hides(20 * eps, 5 * eps));
        Assert.False(logarithms.Hides(double.NaN, 0));
        using var squares = new TrialStep(new Objective(model, new SquaredError(), [(x, x.expand(1, 2))]), 0);
        Assert.False(squares.Hides(0, 1e-30));
    }

    [Fact]
    public void The_last_place_of_the_parameters_says_nothing()
    {
        using var trial = new TrialStep(_objective, 1e-9);
        double eps = Math.Pow(2, -52);
        var gradient = tensor([0, 1.0], dtype: ScalarType.Float64); // |g ∘ w| = 3
        Assert.True(trial.Hides(1e-9 + 20 * eps, 20 * eps, gradient));
        Assert.False(trial.Hides(1e-9, 40 * eps, gradient));
        Assert.False(trial.Hides(1e-9, 20 * eps));
    }
}
