using Amari.Reporting;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.SecondOrder;

/// <summary>Batches whose loss, gradient or curvature is not finite, layers that are frozen and thawed, models without anything to
/// train.</summary>
public sealed class SecondOrderOptimizerBadBatchTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static double[] Values(nn.Module model) => Optimizers.Problem.Values(model.parameters());

    private static string State(SecondOrderOptimizer o)
    {
        var (tensors, values) = o.Snapshot();
        var kept = values.DeepClone().AsObject();
        foreach (string said in (string[])["skippedSteps", "events"])
            kept.Remove(said);
        return kept.ToJsonString() + string.Join(' ', Optimizers.Problem.Values(tensors.Values));
    }

    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void A_run_with_a_bad_batch_is_the_run_without_it(string name)
    {
        double[] Run(double bad)
        {
            var model = SecondOrderCases.Model();
            using var o = SecondOrderCases.Make(name, model);
            for (int i = 0; i < 5; i++)
            {
                if (i == 3 && bad != 0)
                {
                    var (weights, state) = (Values(model), State(o));
                    var (x, y) = SecondOrderCases.Batch(50);
                    x[3, 1] = bad;
                    Assert.Equal(StepOutcome.Skipped, o.StepOnBatch(x, y).Outcome);
                    Assert.Equal(weights, Values(model));
                    Assert.Equal(state, State(o));
                    Assert.Equal(1, o.SkippedSteps);
                    Assert.Equal(4, Assert.Single(o.Events, e => e.Message.Contains("skipped", StringComparison.Ordinal)).Step);
                }
                SecondOrderCases.StepOnBatch(o, i);
            }
            return Values(model);
        }
        var without = Run(0);
        Assert.Equal(without, Run(double.NaN));
        Assert.Equal(without, Run(double.PositiveInfinity));
    }

    /// <summary>√|w| has no second derivative at 0, its product with w has a first one.</summary>
    [Theory, InlineData("Newton"), InlineData("SaddleFreeNewton"), InlineData("NewtonCg")]
    public void Curvature_that_is_not_finite_skips_the_step(string name)
    {
        var w = nn.Parameter(tensor(new[] { 0.0, 1.0 }));
        using SecondOrderOptimizer o = name switch
        {
            "Newton" => new Newton([w]),
            "SaddleFreeNewton" => new SaddleFreeNewton([w]),
            _ => new NewtonCg([w]),
        };
        Tensor Loss() => w.pow(1.5).sum() + w.sum();
        o.step(Loss).Dispose();
        Assert.Equal((StepOutcome.Skipped, 1L, 0L), (o.Report!.Outcome, o.SkippedSteps, ((dynamic)o).Steps));
        Assert.Equal([0.0, 1.0], Optimizers.Problem.Values([w]));
        Assert.Contains("curvature was not finite", Assert.Single(o.Events).Message, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void Goes_on_without_a_frozen_layer_and_takes_it_up_again(string name)
    {
        var model = SecondOrderCases.Model();
        var first = model.children().First();
        using var o = SecondOrderCases.Make(name, model);
        for (int i = 0; i < 2; i++)
            SecondOrderCases.StepOnBatch(o, i);
        foreach (var p in first.parameters())
            p.requires_grad = false;
        var (frozen, all) = (Values(first), Values(model));
        for (int i = 2; i < 4; i++)
            Assert.Equal(StepOutcome.Accepted, SecondOrderCases.StepOnBatch(o, i).Outcome);
        Assert.Equal(frozen, Values(first));
        Assert.NotEqual(all, Values(model));
        Assert.Equal(2, o.Coverage.Rows.Count(r => r.Reason.EndsWith("frozen now", StringComparison.Ordinal)));

        using var other = SecondOrderCases.Default(name, model);
        other.Restore(o.Snapshot());
        foreach (var p in first.parameters())
            p.requires_grad = true;
        var whole = Values(model);
        Assert.Equal(StepOutcome.Accepted, SecondOrderCases.StepOnBatch(o, 4).Outcome);
        Assert.NotEqual(frozen, Values(first));
        var expected = Values(model);
        using (no_grad())
        {
            long at = 0;
            foreach (var p in model.parameters())
            {
                p.copy_(tensor(whole).narrow(0, at, p.numel()).view(p.shape));
                at += p.numel();
            }
        }
        SecondOrderCases.StepOnBatch(other, 4);
        Assert.Equal(expected, Values(model));
    }

    /// <summary>The frozen layers are constants: the step is that over a model of the others alone.</summary>
    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void Trains_a_layer_thawed_later(string name)
    {
        var model = SecondOrderCases.Model();
        var first = model.children().First();
        foreach (var p in first.parameters())
            p.requires_grad = false;
        using var o = SecondOrderCases.Make(name, model);
        var frozen = Values(first);
        SecondOrderCases.StepOnBatch(o, 1);
        Assert.Equal(frozen, Values(first));
        foreach (var p in first.parameters())
            p.requires_grad = true;
        SecondOrderCases.StepOnBatch(o, 2);
        Assert.NotEqual(frozen, Values(first));
    }

    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void Nothing_to_train_and_complex_numbers_are_refused(string name)
    {
        var frozen = SecondOrderCases.Model();
        foreach (var p in frozen.parameters())
            p.requires_grad = false;
        Assert.Contains("frozen", Refusal(frozen), StringComparison.Ordinal);
        Assert.Contains("no parameters", Refusal(nn.Sequential(("t", nn.Tanh()))), StringComparison.Ordinal);

        string Refusal(nn.Module<Tensor, Tensor> model) =>
            Assert.Throws<ArgumentException>(() => SecondOrderCases.Make(name, model)).Message;
    }

    [Fact]
    public void Complex_numbers_and_empty_lists_are_refused_and_empty_tensors_passed_over()
    {
        Func<Parameter[], SecondOrderOptimizer>[] makers =
        [
            p => new Newton(p),
            p => new SaddleFreeNewton(p),
            p => new NewtonCg(p),
            p => new Lbfgs(p),
        ];
        var complexNumbers = nn.Parameter(complex(ones(2), ones(2)));
        foreach (var make in makers)
        {
            Assert.Throws<ArgumentException>(() => make([]));
            Assert.Contains(
                "ComplexFloat32",
                Assert.Throws<ArgumentException>(() => make([complexNumbers])).Message,
                StringComparison.Ordinal
            );
            Parameter w = nn.Parameter(ones(3)),
                empty = nn.Parameter(zeros(0, 3));
            using var o = make([w, empty]);
            o.step(() => (w - 2).square().sum() + empty.sum()).Dispose();
            Assert.Equal(StepOutcome.Accepted, o.Report!.Outcome);
            Assert.All(Optimizers.Problem.Values([w]), v => Assert.True(v > 1.01));
        }
    }
}
