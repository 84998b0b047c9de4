using Amari.SecondOrder;

namespace Amari.Tests.SecondOrder;

/// <summary>The line search on functions of one number, in plain C#.</summary>
public sealed class StrongWolfeTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>φ and φ' by name.</summary>
    private static (double Value, double Slope) Phi(string name, double t) =>
        name switch
        {
            "bowl" => ((t - 3) * (t - 3), 2 * (t - 3)),
            "quartic" => (Math.Pow(t - 2, 4) - t, 4 * Math.Pow(t - 2, 3) - 1),
            "waves" => (Math.Cos(t) + 0.01 * t * t - t / 3, -Math.Sin(t) + 0.02 * t - 1.0 / 3),
            "wall" => t < 1.5 ? (-t, -1) : (double.NaN, double.NaN),
            "slope" => (-t, -1),
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
        };

    private static (StrongWolfe Search, StrongWolfe.Point End, int Evaluations) Run(
        string name,
        double first,
        double decrease,
        double curvature,
        int most = 50
    )
    {
        int evaluations = 0;
        StrongWolfe.Point At(double t)
        {
            evaluations++;
            var (value, slope) = Phi(name, t);
            return new(t, value, slope, zeros(1));
        }
        var start = At(0);
        evaluations = 0;
        var search = new StrongWolfe(At, decrease, curvature, most, rounding: 1e-14);
        return (search, search.Search(start, first), evaluations);
    }

    [Theory]
    [InlineData("bowl", 1.0, 1e-4, 0.9)]
    [InlineData("bowl", 1e-3, 1e-4, 0.1)]
    [InlineData("bowl", 500.0, 0.1, 0.01)]
    [InlineData("quartic", 1.0, 1e-4, 0.1)]
    [InlineData("quartic", 40.0, 1e-4, 0.5)]
    [InlineData("waves", 1.0, 1e-4, 0.1)]
    [InlineData("waves", 30.0, 1e-4, 0.1)]
    public void Search_ends_where_both_conditions_hold(string name, double first, double decrease, double curvature)
    {
        var (search, end, evaluations) = Run(name, first, decrease, curvature);
        var (value, slope) = Phi(name, 0);
        Assert.True(end.Step > 0);
        Assert.True(end.Loss <= value + decrease * end.Step * slope);
        Assert.True(Math.Abs(end.Slope) <= curvature * Math.Abs(slope));
        Assert.Equal(Phi(name, end.Step), (end.Loss, end.Slope));
        Assert.InRange(evaluations, 1, 25);
        Assert.False(search.IsUnbounded);
    }

    [Fact]
    public void Step_stays_before_what_is_not_finite()
    {
        var (_, end, _) = Run("wall", 1, 1e-4, 0.9);
        Assert.InRange(end.Step, 1, 1.5);
    }

    [Fact]
    public void Function_without_a_minimum_ends_at_a_million_times_the_first_step()
    {
        var (search, end, _) = Run("slope", 2, 1e-4, 0.9);
        Assert.True(search.IsUnbounded);
        Assert.Equal(2e6, end.Step, 1e-6);
    }

    [Fact]
    public void Search_that_runs_out_of_evaluations_keeps_the_best_point()
    {
        var (_, end, evaluations) = Run("bowl", 1e-6, 1e-4, 1e-6, most: 3);
        Assert.Equal(3, evaluations);
        Assert.True(end.Step > 0 && end.Loss < 9);
    }
}
