using Amari.Cli.Commands;
using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>Schedule-Free: weights that are loaded while it evaluates.</summary>
public sealed class ScheduleFreeLoadedWeightsTests
{
    /// <summary>As <c>model.load("best")</c> does: training goes on from what was loaded, as a new optimizer's would but for the second
    /// moment; what was not touched goes on as ever.</summary>
    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.BFloat16)]
    public void Weights_loaded_in_evaluation_are_kept_and_reported(ScalarType type)
    {
        foreach (bool restored in (bool[])[false, true])
        {
            Parameter[] p = Problem.Parameters(
                    [
                        [3, 4],
                        [5],
                    ],
                    type
                ),
                q = Problem.Parameters(
                    [
                        [3, 4],
                        [5],
                    ],
                    type
                );
            using var made = new ScheduleFree([ParameterGroup.Of(p, new ScheduleFree.Options { LearningRate = 0.05 })]);
            using var untouched = new ScheduleFree([ParameterGroup.Of(q, new ScheduleFree.Options { LearningRate = 0.05 })]);
            Problem.Steps(made, p, 0, 4);
            Problem.Steps(untouched, q, 0, 4);
            made.Eval();
            untouched.Eval();
            var o = made;
            if (restored)
            {
                o = new([ParameterGroup.Of(p, new ScheduleFree.Options())]);
                o.Restore(made.Snapshot());
            }
            int before = o.Events.Count;
            using (no_grad())
                p[0].fill_(7);
            o.Train();
            untouched.Train();
            Assert.All(Problem.Values([p[0]]), v => Assert.Equal(7, v));
            Assert.Equal(Problem.Values([q[1]]), Problem.Values([p[1]]));
            Assert.Equal(before + 1, o.Events.Count);
            Assert.Contains("weights were loaded while it evaluated", o.Events[^1].Message, StringComparison.Ordinal);
            Assert.All(Problem.Values([o.Snapshot().Tensors["0.Iterate"]]), v => Assert.Equal(7, v));
            o.Eval();
            Assert.All(Problem.Values([p[0]]), v => Assert.Equal(7, v)); // the average, too
            o.Train();
            Problem.Steps(o, p, 4, 6);
            Problem.Steps(untouched, q, 4, 6);
            Assert.Equal(Problem.Values([q[1]]), Problem.Values([p[1]]));
            Assert.All(Problem.Values([p[0]]), v => Assert.InRange(v, 6.5, 7.5));
            Assert.Single(o.Events, e => e.Subject == "0");
        }
    }

    /// <summary>Where the state comes before the weights that it belongs to, those are no news.</summary>
    [Fact]
    public void A_state_saved_in_evaluation_may_be_loaded_before_the_weights()
    {
        Parameter[] p = Problem.Parameters([
                [3, 4],
            ]),
            q = Problem.Parameters([
                [3, 4],
            ]);
        using var a = new ScheduleFree(p);
        Problem.Steps(a, p, 0, 4);
        a.Eval();
        using var b = new ScheduleFree(q);
        b.Restore(a.Snapshot());
        using (no_grad())
            q[0].copy_(p[0]);
        a.Train();
        b.Train();
        Assert.Equal(Problem.Values(p), Problem.Values(q));
        Assert.DoesNotContain(b.Events, e => e.Message.Contains("loaded", StringComparison.Ordinal));
    }

    /// <summary>What was loaded in evaluation is in a state saved before training goes on.</summary>
    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.BFloat16)]
    public void Weights_loaded_in_evaluation_are_saved(ScalarType type)
    {
        Parameter[] p = Problem.Parameters(
                [
                    [3, 4],
                    [5],
                ],
                type
            ),
            q = Problem.Parameters(
                [
                    [3, 4],
                    [5],
                ],
                type
            );
        using ScheduleFree a = new(p),
            b = new(q);
        Problem.Steps(a, p, 0, 4);
        a.Eval();
        using (no_grad())
            p[0].fill_(7);
        var saved = a.Snapshot();
        Assert.All(Problem.Values([p[0]]), v => Assert.Equal(7, v));
        Assert.Contains(
            "weights were loaded while it evaluated",
            Assert.Single(a.Events, e => e.Subject == "0").Message,
            StringComparison.Ordinal
        );
        using (no_grad())
            for (int i = 0; i < p.Length; i++)
                q[i].copy_(p[i]);
        b.Restore(saved);
        a.Train();
        b.Train();
        Assert.All(Problem.Values([q[0]]), v => Assert.Equal(7, v));
        Assert.Single(a.Events, e => e.Subject == "0");
        Problem.Steps(a, p, 4, 6);
        Problem.Steps(b, q, 4, 6);
        Assert.Equal(Problem.Values(p), Problem.Values(q));
        a.Eval();
        b.Eval();
        Assert.Equal(Problem.Values(p), Problem.Values(q));
    }
}
