using System.Reflection;
using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>Parameter groups with options of their own.</summary>
public sealed class ParameterGroupTests
{
    /// <summary>A group of a method with the first options, or with the second.</summary>
    private static object Group(string method, IEnumerable<(string, Parameter)> part, bool second) =>
        OptimizerCases.GroupOf(
            part,
            second ? OptimizerCases.Start(method, ("LearningRate", 0.3), ("WeightDecay", 0.1)) : OptimizerCases.Start(method)
        );

    private static void Add(Optimizer optimizer, object group) =>
        optimizer.GetType().GetMethod("Add", [group.GetType()])!.Invoke(optimizer, BindingFlags.DoNotWrapExceptions, null, [group], null);

    /// <summary>Steps from (inclusive) to (exclusive), each with gradients and an estimate of the curvature of its own.</summary>
    private static void Steps(Parameter[] parameters, int from, int to, params Optimizer[] optimizers)
    {
        for (int step = from; step < to; step++)
        {
            Problem.SetGradients(parameters, step);
            foreach (var o in optimizers)
            {
                OptimizerCases.Measure(o, 1);
                o.step();
            }
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Methods), MemberType = typeof(OptimizerCases))]
    public void Two_groups_are_two_optimizers_also_when_one_comes_later(string method)
    {
        long[][] shapes =
        [
            [33],
            [5, 7],
            [3, 4],
            [11],
        ];
        var (whole, later, apart) = (Problem.Parameters(shapes), Problem.Parameters(shapes), Problem.Parameters(shapes));
        object First(Parameter[] p) => Group(method, p[..2].Select((x, i) => ($"p{i}", x)), second: false);
        object Second(Parameter[] p) => Group(method, p[2..].Select((x, i) => ($"p{i + 2}", x)), second: true);
        using var both = OptimizerCases.OfGroups(First(whole), Second(whole));
        using var first = OptimizerCases.OfGroups(First(apart));
        using var second = OptimizerCases.OfGroups(Second(apart));
        using var grown = OptimizerCases.OfGroups(First(later));
        Assert.Equal(2, both.ParamGroups.Count());
        Steps(whole, 0, 6, both);
        Steps(apart, 0, 6, first, second);
        Steps(later, 0, 3, grown);
        Add(grown, Second(later));
        Steps(later, 3, 6, grown);
        Assert.Equal(Problem.Values(apart), Problem.Values(whole));
        Assert.Equal(first.StateBytes + second.StateBytes, both.StateBytes);

        // the second group's first step was the fourth
        Assert.Equal(Problem.Values(whole[..2]), Problem.Values(later[..2]));
        var fresh = Problem.Parameters(shapes);
        using var alone = OptimizerCases.OfGroups(Second(fresh));
        Steps(fresh, 3, 6, alone);
        Assert.Equal(Problem.Values(fresh[2..]), Problem.Values(later[2..]));
        Assert.Contains(
            "is given twice",
            Assert.Throws<ArgumentException>(() => Add(both, Group(method, [("other", whole[0])], second: true))).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "'p0' occurs twice",
            Assert.Throws<ArgumentException>(() => Add(both, Group(method, [("p0", nn.Parameter(zeros(1)))], second: true))).Message,
            StringComparison.Ordinal
        );
    }

    /// <summary>Every optimizer of groups is made of bare parameters, as in TorchSharp: <c>new AdamW(model.parameters())</c>.</summary>
    [Fact]
    public void Every_optimizer_of_groups_takes_the_model_s_parameters()
    {
        foreach (var type in OptimizerCases.OptionTypes.Select(o => o.DeclaringType!))
        {
            using var model = nn.Linear(4, 3);
            using var made = (Optimizer)
                type.GetConstructors()
                    .Single(c => c.GetParameters() is [var p, _] && p.ParameterType == typeof(IEnumerable<Parameter>))
                    .Invoke([model.parameters(), null]);
            Assert.Equal(2, made.parameters().Count());
            Assert.Equal(["0", "1"], made.Coverage.Rows.Select(r => r.Parameter));
        }
        using var linear = nn.Linear(4, 3);
        using var plain = new AdamW(linear.parameters());
        using var with = new AdamW(linear.parameters(), new() { LearningRate = 0.1 });
        using var tied = new Sgd([.. linear.parameters(), .. linear.parameters()]);
        Assert.Equal(2, tied.parameters().Count());
        plain.Add(ParameterGroup.Of(nn.Linear(2, 2).parameters(), new AdamW.Options { WeightDecay = 0 }));
        Assert.Equal(["0", "1", "2", "3"], plain.Coverage.Rows.Select(r => r.Parameter));
    }

    /// <summary>Their numbers go on from group to group, so that each has a name, the same in every run.</summary>
    [Fact]
    public void Groups_of_bare_parameters_have_names_of_their_own()
    {
        var (p, q) = (
            Problem.Parameters([
                [3],
                [2, 2],
                [4],
            ]),
            Problem.Parameters([
                [3],
                [2, 2],
                [4],
            ])
        );
        AdamW Make(Parameter[] w) =>
            new([ParameterGroup.Of(w[..1], new AdamW.Options()), ParameterGroup.Of(w[1..], new AdamW.Options { LearningRate = 0.01 })]);
        using var a = Make(p);
        Assert.Equal(["0", "1", "2"], a.Coverage.Rows.Select(r => r.Parameter));
        Problem.Steps(a, p, 0, 3);
        using (no_grad())
            foreach (var (w, v) in q.Zip(p))
                w.copy_(v);
        using var b = Make(q);
        b.Restore(a.Snapshot());
        Problem.Steps(a, p, 3, 5);
        Problem.Steps(b, q, 3, 5);
        Assert.Equal(Problem.Values(p), Problem.Values(q));

        using var mixed = new Sgd([new([("1", p[0])], new Sgd.Options()), ParameterGroup.Of(p[1..], new Sgd.Options())]);
        Assert.Equal(["1", "2", "3"], mixed.Coverage.Rows.Select(r => r.Parameter));
    }

    [Fact]
    public void Partitioned_methods_take_groups_of_bare_parameters()
    {
        using var model = nn.Sequential(("a", nn.Linear(4, 5)), ("b", nn.Linear(5, 3)));
        var layers = model.children().ToList();
        using var kfac = new Kfac(
            ParameterGroup.Of(layers[0].parameters(), new Kfac.Options()),
            [ParameterGroup.Of(layers[1].parameters(), new Kfac.GroupOptions { LearningRate = 0.01 })],
            model,
            new Categorical()
        );
        Assert.Equal(["a.weight", "a.bias", "b.weight", "b.bias"], kfac.Coverage.Rows.Select(r => r.Parameter));
        using var routed = new PartitionedOptimizer(
            model,
            [
                ParameterGroup.Of(layers[0].parameters(), new PartitionedOptimizer.Options()),
                ParameterGroup.Of(layers[1].parameters(), new PartitionedOptimizer.Options { FallbackOnly = true }),
            ]
        );
        Assert.Equal(["0", "1", "2", "3"], routed.Coverage.Rows.Select(r => r.Parameter));
    }
}
