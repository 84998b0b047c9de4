using Amari.Cli.Commands;
using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>Schedule-Free: weights that are loaded while it evaluates or trains.</summary>
public sealed class ScheduleFreeLoadedWeightsTests
{
    /// <summary>After four steps.</summary>
    private static (Parameter[] Parameters, ScheduleFree Optimizer) Trained(long columns, ScalarType type)
    {
        var p = Problem.Parameters(
            [
                [3, columns],
                [5],
            ],
            type
        );
        var o = new ScheduleFree([ParameterGroup.Of(p, new ScheduleFree.Options { LearningRate = 0.05 })]);
        Problem.Steps(o, p, 0, 4);
        return (p, o);
    }

    /// <summary>As <c>model.load("best")</c> does: training goes on from what was loaded, as a new optimizer's would but for the second
    /// moment; what was not touched goes on as ever.</summary>
    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.BFloat16)]
    public void Weights_loaded_in_evaluation_are_kept_and_reported(ScalarType type)
    {
        foreach (bool restored in (bool[])[false, true])
        {
            var (p, made) = Trained(4, type);
            var (q, untouched) = Trained(4, type);
            using var first = made;
            using var second = untouched;
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

    /// <summary>As <c>load_state_dict</c> between two steps does.</summary>
    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.Float64), InlineData(ScalarType.BFloat16)]
    public void Weights_loaded_in_training_are_kept_and_reported(ScalarType type)
    {
        foreach (string how in (string[])["step", "eval", "snapshot"])
        {
            var (p, o) = Trained(400, type);
            var (q, untouched) = Trained(400, type);
            using var first = o;
            using var second = untouched;
            using (no_grad())
                p[0].fill_(7);
            if (how == "snapshot")
                Assert.All(Problem.Values([o.Snapshot().Tensors["0.Iterate"]]), v => Assert.Equal(7, v));
            if (how == "eval")
            {
                o.Eval();
                Assert.All(Problem.Values([p[0]]), v => Assert.Equal(7, v)); // the average is what was loaded
                o.Train();
            }
            Problem.Steps(o, p, 4, 7);
            Problem.Steps(untouched, q, 4, 7);
            Assert.Equal(Problem.Values([q[1]]), Problem.Values([p[1]]));
            var logged = Assert.Single(o.Events, e => e.Message.Contains("loaded", StringComparison.Ordinal));
            Assert.Equal((4, "0"), (logged.Step, logged.Subject));
            Assert.Contains("while it trained", logged.Message, StringComparison.Ordinal);
            o.Eval();
            Assert.All(Problem.Values([p[0]]), v => Assert.InRange(v, 6.5, 7.5)); // and not a mixture with the old iterate
        }
    }

    /// <summary>What is put back, changed in a few places, moved to another type, or resumed is no load.</summary>
    [Fact]
    public void Weights_that_were_not_loaded_in_training_are_not_taken_for_it()
    {
        Parameter[] p = Problem.Parameters([
                [30, 4],
                [5],
            ]),
            q = Problem.Parameters([
                [30, 4],
                [5],
            ]);
        using ScheduleFree o = new(p),
            resumed = new(q);
        Problem.Steps(o, p, 0, 3);
        using (no_grad())
        {
            using var before = p[0].clone();
            p[0].zero_();
            p[0].copy_(before); // tried and put back
            p[0].narrow(0, 0, 10).clamp_(-0.1, 0.1); // a constraint on some
        }
        Problem.Steps(o, p, 3, 4);
        o.Eval();
        o.Train();
        resumed.Restore(o.Snapshot());
        using (no_grad())
            for (int i = 0; i < p.Length; i++)
                q[i].copy_(p[i]); // after the state
        Problem.Steps(o, p, 4, 6);
        Problem.Steps(resumed, q, 4, 6);
        Assert.Equal(Problem.Values(p), Problem.Values(q));
        var model = nn.Sequential(("l", nn.Linear(4, 3)));
        using var moved = new ScheduleFree(model);
        for (int i = 0; i < 3; i++)
        {
            moved.zero_grad();
            model.call(ones([2, 4], dtype: i < 2 ? ScalarType.Float32 : ScalarType.BFloat16)).sum().backward();
            moved.step();
            if (i == 1)
                model.to(ScalarType.BFloat16);
        }
        Assert.All(
            (ScheduleFree[])[o, resumed, moved],
            s => Assert.DoesNotContain(s.Events, e => e.Message.Contains("loaded", StringComparison.Ordinal))
        );
    }
}
