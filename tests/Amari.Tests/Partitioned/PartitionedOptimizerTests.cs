using Amari.Tests.Optimizers;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Partitioned;

/// <summary>Each part is the method it is, the user's groups stay, and a state is whole.</summary>
public sealed class PartitionedOptimizerTests : PartitionedTest
{
    /// <summary>The rest of the model is AdamW of a gradient that is 20 times the usual norm at most; a saved run remembers what is
    /// usual.</summary>
    [Fact]
    public void A_bad_batch_is_bounded_in_AdamW_s_second_moments()
    {
        double Norm(double? growth, bool resumed, out string events)
        {
            manual_seed(4);
            using var w = new Parameter(zeros(2, 3));
            using var bias = new Parameter(zeros(4));
            ParameterGroup<PartitionedOptimizer.Options> Group() =>
                new(
                    [("w", w), ("b", bias)],
                    new()
                    {
                        MaxGrowth = growth,
                        OutputLayer = true,
                        Fallback = new() { LearningRate = 0, Beta2 = 0.5 },
                    }
                );
            using var model = nn.Identity();
            var o = new PartitionedOptimizer(model, [Group()]);
            for (int step = 1; step <= 6; step++)
            {
                (w.grad, bias.grad) = (ones(2, 3), full(4, step == 6 ? 1e4 : 1));
                o.step();
                if (!resumed || step != 4)
                    continue;
                using var scope = NewDisposeScope();
                var saved = o.Snapshot();
                var next = new PartitionedOptimizer(model, [Group()]);
                next.Restore(saved);
                o.Dispose();
                o = next;
            }
            events = string.Join("; ", o.Events.Select(e => e.Message));
            double second = o.Snapshot()
                .Tensors.Single(t =>
                    t.Key.Contains("rest", StringComparison.Ordinal) && t.Key.EndsWith("SecondMoment", StringComparison.Ordinal)
                )
                .Value[0]
                .ToDouble();
            o.Dispose();
            return second;
        }
        double all = 1 - Math.Pow(0.5, 5); // of five gradients of 1
        Assert.Equal(0.5 * all + 0.5 * 1e8, Norm(null, false, out string none), 10.0);
        Assert.Empty(none);
        foreach (bool resumed in (bool[])[false, true])
        {
            Assert.Equal(0.5 * all + 0.5 * 400, Norm(20, resumed, out string events), 1e-3);
            Assert.Contains("more than 20 times its running mean; it was cut", events, StringComparison.Ordinal);
        }
        Assert.Equal(0.5 * all + 0.5 * 9, Norm(3, false, out _), 1e-4);
    }

    [Theory, MemberData(nameof(Methods), DisableDiscoveryEnumeration = true)]
    public void Each_part_is_the_method_it_is(OptimizerOptions matrices)
    {
        var (routed, apart) = (Model(), Model());
        using var o = new PartitionedOptimizer(
            routed,
            new PartitionedOptimizer.Options()
            {
                MatrixOptimizer = matrices,
                Fallback = new() { LearningRate = 0.01 },
            },
            new Categorical()
        );
        var taken = o.Coverage.Rows.Where(r => r.Block != "AdamW").Select(r => r.Parameter).ToHashSet();
        var parts = apart.named_parameters().ToLookup(p => taken.Contains(p.name));
        using var first = matrices is Kfac.Options k
            ? new Kfac(apart, [.. parts[true]], k, new Categorical())
            : OptimizerCases.Of(matrices, parts[true].Select(p => p.parameter));
        using var second = new AdamW([new(parts[false], new() { LearningRate = 0.01 })]);
        for (int step = 0; step < 5; step++)
        {
            Train(o, routed, step, step + 1);
            using var scope = NewDisposeScope();
            var (x, y) = Batch(step);
            first.zero_grad();
            second.zero_grad();
            new Categorical().Loss(apart.call(x), y).backward();
            first.step();
            second.step();
        }
        Assert.Equal(Problem.Values(apart.parameters()), Problem.Values(routed.parameters()));
        Assert.Equal(first.StateBytes + second.StateBytes, o.StateBytes);
    }

    [Fact]
    public void The_user_s_groups_stay_and_their_rate_drives_both_methods()
    {
        var (one, two) = (Model(), Model());
        static ParameterGroup<PartitionedOptimizer.Options>[] Groups(nn.Module m, double factor) =>
            [
                .. m.named_parameters()
                    .GroupBy(p => p.name[0] is 'e' or 'a')
                    .Select(g => new ParameterGroup<PartitionedOptimizer.Options>(
                        g,
                        g.Key
                            ? new()
                            {
                                LearningRate = factor,
                                MatrixOptimizer = new Muon.Options() { LearningRate = 0.02 / factor },
                                Fallback = new() { LearningRate = 0.001 / factor, WeightDecay = 0 },
                            }
                            : new()
                            {
                                LearningRate = factor,
                                MatrixOptimizer = new Soap.Options() { LearningRate = 0.01 / factor, WeightDecay = 0 },
                                Fallback = new() { LearningRate = 0.003 / factor, WeightDecay = 0 },
                            }
                    )),
            ];
        var groups = Groups(one, 1);
        using var a = new PartitionedOptimizer(one, groups);
        using var b = new PartitionedOptimizer(two, Groups(two, 4));
        Assert.Equal(groups, a.ParamGroups);
        Train(a, one, 0, 3);
        Train(b, two, 0, 3);
        foreach (var (e, v) in Problem.Values(one.parameters()).Zip(Problem.Values(two.parameters())))
            Assert.InRange(v, e - 1e-6, e + 1e-6);
        var before = Problem.Values(one.parameters());
        foreach (var group in a.ParamGroups)
            group.LearningRate = 0;
        Train(a, one, 3, 4);
        Assert.Equal(before, Problem.Values(one.parameters()));
        Assert.Contains(
            "is given twice",
            Assert.Throws<ArgumentException>(() => new PartitionedOptimizer(one, [groups[0], groups[0]])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Each_option_changes_the_trajectory()
    {
        PartitionedOptimizer.Options[] options =
        [
            new(),
            new() { LearningRate = 0.5 },
            new() { MatrixOptimizer = new Soap.Options() },
            new() { Fallback = new() { LearningRate = 0.1 } },
            new() { MaxDimension = 10 },
            new() { Embeddings = true },
            new() { OutputLayer = true },
            new() { FallbackOnly = true },
            new() { MaxGrowth = 1.01 },
        ];
        var runs = options
            .Select(o =>
            {
                var model = Model();
                using var routed = new PartitionedOptimizer(model, o);
                Train(routed, model, 0, 4);
                return Problem.Values(model.parameters());
            })
            .ToList();
        for (int i = 0; i < runs.Count; i++)
        for (int k = 0; k < i; k++)
            Assert.True(!runs[k].SequenceEqual(runs[i]) || (k, i) == (4, 7), $"{k} and {i} agree"); // either leaves no matrix to Muon
        Trajectory.Complete(options);
    }

    [Theory, MemberData(nameof(Methods), DisableDiscoveryEnumeration = true)]
    public void Clips_all_parts_together(OptimizerOptions matrices)
    {
        var (routed, scaled) = (Model(), Model());
        using var o = new PartitionedOptimizer(routed, new PartitionedOptimizer.Options() { MatrixOptimizer = matrices }, new Categorical())
        {
            MaxGradientNorm = 0.1,
        };
        using var plain = new PartitionedOptimizer(
            scaled,
            new PartitionedOptimizer.Options() { MatrixOptimizer = matrices },
            new Categorical()
        );
        Train(o, routed, 0, 1);
        var (x, y) = Batch(0);
        new Categorical().Loss(scaled.call(x), y).backward();
        double norm = Math.Sqrt(Problem.Values(scaled.parameters().Select(p => p.grad!)).Sum(v => v * v));
        Assert.Equal(norm, o.GradientNorm, 1e-6);
        using (no_grad())
            foreach (var p in scaled.parameters())
                p.grad!.mul_(0.1 / norm);
        plain.step();
        foreach (var (e, v) in Problem.Values(scaled.parameters()).Zip(Problem.Values(routed.parameters())))
            Assert.InRange(v, e - 2e-4, e + 2e-4);
        foreach (var p in routed.parameters())
            p.grad!.fill_(double.NaN);
        var before = Problem.Values(routed.parameters());
        o.step();
        Assert.Equal(1, o.SkippedSteps);
        Assert.Equal(before, Problem.Values(routed.parameters()));
    }

    [Theory, MemberData(nameof(Methods), DisableDiscoveryEnumeration = true)]
    public void A_resumed_run_is_the_same_and_bad_states_are_refused(OptimizerOptions matrices)
    {
        var options = new PartitionedOptimizer.Options()
        {
            LearningRate = 0.7,
            MatrixOptimizer = matrices,
            Fallback = new() { Beta1 = 0.8 },
        };
        var (whole, parts, next) = (Model(), Model(), Model());
        using var a = new PartitionedOptimizer(whole, options, new Categorical());
        Train(a, whole, 0, 6);
        using var b = new PartitionedOptimizer(parts, options, new Categorical());
        Train(b, parts, 0, 3);
        using (no_grad())
            foreach (var (p, q) in next.parameters().Zip(parts.parameters()))
                p.copy_(q);
        using var c = new PartitionedOptimizer(next, options with { LearningRate = 0.1, Fallback = new() }, new Categorical());
        c.Restore(b.Snapshot());
        Assert.Equal(options, c.Groups[0].Options);
        Train(c, next, 3, 6);
        Assert.Equal(Problem.Values(whole.parameters()), Problem.Values(next.parameters()));

        var third = Model();
        using (no_grad())
            foreach (var (p, q) in third.parameters().Zip(parts.parameters()))
                p.copy_(q);
        using var routedOtherwise = new PartitionedOptimizer(third, options with { FallbackOnly = true }, new Categorical());
        routedOtherwise.Restore(b.Snapshot());
        Assert.Equal(b.Coverage.Rows, routedOtherwise.Coverage.Rows);
        Train(routedOtherwise, third, 3, 6);
        Assert.Equal(Problem.Values(whole.parameters()), Problem.Values(third.parameters()));

        using var other = new PartitionedOptimizer(
            Model(),
            options with
            {
                MatrixOptimizer = matrices is Muon.Options ? new Soap.Options() : new Muon.Options(),
            },
            new Categorical()
        );
        Assert.Contains(
            "as its matrix method",
            Assert.Throws<InvalidDataException>(() => other.Restore(b.Snapshot())).Message,
            StringComparison.Ordinal
        );
        using var adam = new AdamW(Model());
        Assert.Contains(
            "not of PartitionedOptimizer",
            Assert.Throws<InvalidDataException>(() => c.Restore(adam.Snapshot())).Message,
            StringComparison.Ordinal
        );
    }

    [Theory, MemberData(nameof(Methods), DisableDiscoveryEnumeration = true)]
    public void A_state_that_lacks_something_leaves_every_part_as_it_was(OptimizerOptions matrices)
    {
        var (model, twin) = (Model(), Model());
        using var a = new PartitionedOptimizer(model, new PartitionedOptimizer.Options() { MatrixOptimizer = matrices }, new Categorical());
        using var b = new PartitionedOptimizer(twin, new PartitionedOptimizer.Options() { MatrixOptimizer = matrices }, new Categorical());
        Train(a, model, 0, 2);
        var early = a.Snapshot();
        var copies = early.Tensors.ToDictionary(t => t.Key, t => t.Value.clone());
        var values = early.Values.DeepClone().AsObject();
        copies.Remove(copies.Keys.Last());
        Train(a, model, 2, 4);
        Assert.Contains(
            "lacks",
            Assert.Throws<InvalidDataException>(() => a.Restore(new(copies, values))).Message,
            StringComparison.Ordinal
        );
        Train(a, model, 4, 6);
        Train(b, twin, 0, 6);
        Assert.Equal(Problem.Values(twin.parameters()), Problem.Values(model.parameters()));
    }

    [Theory, MemberData(nameof(Methods), DisableDiscoveryEnumeration = true)]
    public void Live_tensors_do_not_grow(OptimizerOptions matrices)
    {
        var model = Model();
        using var o = new PartitionedOptimizer(model, new PartitionedOptimizer.Options() { MatrixOptimizer = matrices }, new Categorical());
        Train(o, model, 0, 12);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Train(o, model, 12, 42);
        Assert.InRange(DisposeScopeManager.Statistics.ThreadTotalLiveCount, 0, before);
    }

    [Fact]
    public void Wrong_methods_are_refused()
    {
        Assert.Contains(
            "cannot be Lion",
            Assert.Throws<ArgumentException>(() => new PartitionedOptimizer.Options() { MatrixOptimizer = new Lion.Options() }).Message,
            StringComparison.Ordinal
        );
        var model = Model();
        using var o = new PartitionedOptimizer(model);
        Train(o, model, 0, 1);
        o.Groups[0].Options = o.Groups[0].Options with { MatrixOptimizer = new Soap.Options() };
        Assert.Contains(
            "cannot change to Soap",
            Assert.Throws<InvalidOperationException>(() => Train(o, model, 1, 2)).Message,
            StringComparison.Ordinal
        );
    }
}
