using Amari.Solvers;
using static Amari.Tests.SecondOrder.Functions;

namespace Amari.Tests.SecondOrder;

/// <summary>The trust region of Newton-CG.</summary>
public sealed class NewtonCgTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Radius_follows_its_rules_down_the_valley_of_Rosenbrock()
    {
        var w = At(-1.2, 1);
        using var optimizer = new NewtonCg(
            [w],
            new()
            {
                Radius = 0.5,
                MaxRadius = 1.5,
                Tolerance = 1e-3,
            }
        );
        var outcomes = new HashSet<StepOutcome>();
        for (int i = 0; i < 60; i++)
        {
            double radius = optimizer.Radius;
            var before = Values(w);
            optimizer.step(() => Rosenbrock(w)).Dispose();
            var r = optimizer.Report!;
            outcomes.Add(r.Outcome);
            Assert.Equal(radius, r.Radius);
            Assert.InRange(r.StepNorm, 0, radius * (1 + 1e-12));
            Assert.Equal(r.ReductionRatio >= 1e-4 ? StepOutcome.Accepted : StepOutcome.Rejected, r.Outcome);
            Assert.True(r.LossAfter <= r.LossBefore + 1e-14);
            if (r.Outcome == StepOutcome.Rejected)
                Assert.Equal(before, Values(w));
            bool boundary = r.SteihaugStatus is SteihaugStatus.Boundary or SteihaugStatus.NegativeCurvature;
            Assert.Equal(
                r.ReductionRatio < 0.25 ? radius / 4
                    : r.ReductionRatio > 0.75 && boundary ? Math.Min(2 * radius, 1.5)
                    : radius,
                optimizer.Radius
            );
        }
        Assert.Equal(2, outcomes.Count);
        Assert.Contains(optimizer.Events, e => e.Message.StartsWith("the step was rejected", StringComparison.Ordinal));
        Assert.All(Values(w), v => Assert.Equal(1, v, 1e-8));
    }

    /// <summary>The loss becomes 0 to the last place, and the prediction does not: the radius shrank by 4 at each step. A new optimizer
    /// takes 7 steps for the new labels.</summary>
    [Fact]
    public void A_fitted_classifier_learns_new_labels() =>
        HessianFreeDampingTests.LearnsNewLabels(m => new NewtonCg(m, new Categorical()), o => o.Radius, 1, 100, 15);

    [Fact]
    public void A_state_with_a_vanished_radius_goes_on_above_it()
    {
        var w = At(-1.2, 1);
        using var optimizer = new NewtonCg([w], new() { Radius = 0.5 });
        optimizer.step(() => Rosenbrock(w)).Dispose();
        var snapshot = optimizer.Snapshot();
        snapshot.Values["adapted"] = double.Epsilon;
        optimizer.Restore(snapshot);
        Assert.Equal(0.5 * Math.Pow(2, -104), optimizer.Radius);
    }
}
