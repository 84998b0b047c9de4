using Amari.Curvature;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.SecondOrder;

/// <summary>Adaptive damping and line search of the natural gradient.</summary>
public sealed class NaturalGradientAdaptationTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static (nn.Module<Tensor, Tensor> Model, Tensor X, Tensor Y) Fit()
    {
        manual_seed(4);
        var x = linspace(-2, 2, 40, dtype: F64).unsqueeze(1);
        return (nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).to(F64), x, (2 * x).sin());
    }

    private static List<StepReport> Run(NaturalGradient.Options options, int steps)
    {
        var (model, x, y) = Fit();
        using var optimizer = new NaturalGradient(model, new SquaredError(), options);
        return [.. Enumerable.Range(0, steps).Select(_ => optimizer.StepOnBatch(x, y))];
    }

    [Fact]
    public void Damping_follows_the_ratio_of_reductions()
    {
        var (model, x, y) = Fit();
        AdaptiveDamping adaptation = new() { Decay = 0.25, Interval = 1 };
        using var optimizer = new NaturalGradient(model, new SquaredError(), new() { Damping = 1e-4, AdaptiveDamping = adaptation });
        var outcomes = new HashSet<(StepOutcome, int)>();
        for (int i = 0; i < 40; i++)
        {
            double before = optimizer.Damping;
            double[] w = SecondOrderCases.Values(model);
            var report = optimizer.StepOnBatch(x, y);
            Assert.Equal(before, report.Damping);
            double expected =
                report.Outcome == StepOutcome.Rejected || !(report.ReductionRatio >= 0.25) ? before * 4
                : report.ReductionRatio > 0.75 ? before / 4
                : before;
            Assert.Equal(expected, optimizer.Damping, expected * 1e-12);
            Assert.True(report.LossAfter <= report.LossBefore * (1 + 1e-12));
            if (report.Outcome == StepOutcome.Rejected)
                Assert.Equal(w, SecondOrderCases.Values(model));
            outcomes.Add((report.Outcome, Math.Sign(optimizer.Damping - before)));
        }
        Assert.Contains((StepOutcome.Rejected, 1), outcomes);
        Assert.Contains((StepOutcome.Accepted, -1), outcomes);
    }

    [Fact]
    public void Interval_spaces_the_changes_of_accepted_steps()
    {
        var reports = Run(
            new()
            {
                Damping = 1e-1,
                AdaptiveDamping = new() { Decay = 0.5, Interval = 3 },
            },
            9
        );
        Assert.All(reports, r => Assert.Equal(StepOutcome.Accepted, r.Outcome));
        double[] dampings = [.. reports.Select(r => r.Damping!.Value)];
        for (int i = 1; i < dampings.Length; i++)
            if (i % 3 != 0)
                Assert.Equal(dampings[i - 1], dampings[i]);
        Assert.Equal(dampings[0] / 8, dampings[3], 1e-15);
    }

    [Fact]
    public void Both_reach_what_a_fixed_damping_does_not()
    {
        double fixedLoss = Run(new() { Damping = 1e-1 }, 60)[^1].LossAfter,
            adapted =
                Run(
                    new()
                    {
                        Damping = 1e-1,
                        AdaptiveDamping = new() { Decay = 0.5, Interval = 1 },
                    },
                    60
                )[^1].LossAfter;
        Assert.InRange(adapted, 0, fixedLoss / 100);
        var plain = Run(new() { Damping = 1e-6, StepRejection = false }, 10);
        var searched = Run(new() { Damping = 1e-6, LineSearch = LineSearch.StrongWolfe }, 10);
        Assert.Contains(plain, r => r.LossAfter > r.LossBefore);
        Assert.All(searched, r => Assert.True(r.LossAfter <= r.LossBefore));
        Assert.All(searched, r => Assert.InRange(r.Evaluations!.Value, 1, 25));
        Assert.InRange(searched[^1].LossAfter, 0, Math.Min(searched[0].LossBefore / 2, plain[^1].LossAfter));
    }

    [Fact]
    public void Line_search_excludes_what_sets_the_step_otherwise()
    {
        var (model, x, y) = Fit();
        using var radius = new NaturalGradient(model, new SquaredError(), new() { KlRadius = 1e-3, LineSearch = LineSearch.StrongWolfe });
        Assert.Contains("KlRadius is 0.001", Assert.Throws<InvalidOperationException>(() => radius.StepOnBatch(x, y)).Message);
        using var clipped = new NaturalGradient(model, new SquaredError(), new() { LineSearch = LineSearch.StrongWolfe })
        {
            MaxGradientNorm = 1,
        };
        Assert.Contains("MaxGradientNorm", Assert.Throws<InvalidOperationException>(() => clipped.StepOnBatch(x, y)).Message);
    }
}
