namespace Amari.Tests.SecondOrder;

/// <summary>What becomes of λ over hundreds of steps: it has bounds, and does not follow rounding.</summary>
public sealed class HessianFreeDampingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void It_does_not_vanish_in_hundreds_of_good_steps()
    {
        manual_seed(0);
        var model = nn.Linear(4, 1);
        using var optimizer = new HessianFree(model, new SquaredError());
        var w = randn(4, 1);
        StepReport report = null!;
        for (int step = 0; step < 300; step++)
        {
            using var scope = NewDisposeScope();
            report = Step(optimizer, w);
        }
        Assert.Equal((0, StepOutcome.Accepted), (optimizer.SkippedSteps, report.Outcome));
        Assert.Equal(8 * Math.Pow(2, -23), optimizer.Damping);
    }

    /// <summary>One input is always 0, and so is its curvature.</summary>
    private static StepReport Step(HessianFree optimizer, Tensor w)
    {
        var x = randn(32, 4);
        x[.., 3] = 0;
        return optimizer.StepOnBatch(x, x.matmul(w) + 0.1 * randn(32, 1));
    }

    [Fact]
    public void A_first_value_below_the_bound_stays_the_least()
    {
        manual_seed(0);
        var model = nn.Linear(4, 1);
        using var optimizer = new HessianFree(model, new SquaredError(), new() { Damping = 1e-9 });
        var w = randn(4, 1);
        for (int step = 0; step < 5; step++)
            Step(optimizer, w);
        Assert.Equal((1e-9, 0), (optimizer.Damping, optimizer.SkippedSteps));
    }

    [Theory, InlineData(1e-45, 9.5367431640625e-07), InlineData(1e300, 70368744177664.0), InlineData(0.25, 0.25)]
    public void A_damping_out_of_bounds_in_a_state_goes_to_the_bound(double saved, double expected)
    {
        manual_seed(0);
        var model = nn.Linear(4, 1);
        using var optimizer = new HessianFree(model, new SquaredError());
        var w = randn(4, 1);
        Step(optimizer, w);
        var snapshot = optimizer.Snapshot();
        snapshot.Values["adapted"] = saved;
        optimizer.Restore(snapshot);
        Assert.Equal(expected, optimizer.Damping);
        Assert.NotEqual(StepOutcome.Skipped, Step(optimizer, w).Outcome);
    }

    /// <summary>A loss that is 0 to the last place has no reductions to judge by: without bounds, λ rose to 10³¹. A new optimizer
    /// takes 10 steps for the new labels.</summary>
    [Fact]
    public void A_fitted_classifier_learns_new_labels() =>
        LearnsNewLabels(m => new HessianFree(m, new Categorical()), o => o.Damping, 1e-8, 1, 20);

    /// <summary>Fits a separable problem for 600 steps, then its opposite.</summary>
    /// <param name="make">Makes the optimizer.</param>
    /// <param name="adapted">What it adapts.</param>
    /// <param name="least">The least that may become.</param>
    /// <param name="most">The most, once the problem is fitted.</param>
    /// <param name="steps">That the opposite may take.</param>
    internal static void LearnsNewLabels<T>(
        Func<nn.Module<Tensor, Tensor>, T> make,
        Func<T, double> adapted,
        double least,
        double most,
        int steps
    )
        where T : SecondOrderOptimizer
    {
        manual_seed(2);
        var x = randn(16, 3);
        var y = x.mv(randn(3)).gt(0).to_type(ScalarType.Int64);
        var model = nn.Sequential(("b", nn.Linear(3, 2)));
        using var optimizer = make(model);
        for (int step = 0; step < 600; step++)
        {
            using var scope = NewDisposeScope();
            double loss = optimizer.StepOnBatch(x, y).LossAfter;
            if (step >= 50)
                Assert.InRange(adapted(optimizer), least, most);
            if (step == 599)
                Assert.InRange(loss, 0, 1e-6);
        }
        double after = double.NaN;
        for (int step = 0; step < steps && !(after < 0.05); step++)
            after = optimizer.StepOnBatch(x, 1 - y).LossAfter;
        Assert.InRange(after, 0, 0.05);
    }
}
