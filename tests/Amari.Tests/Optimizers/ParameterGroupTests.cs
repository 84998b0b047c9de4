using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>Parameter groups with options of their own.</summary>
public sealed class ParameterGroupTests
{
    /// <summary>Makes an optimizer of groups, one for each part of the parameters, with other options each.</summary>
    private sealed record Grouped(
        string Name,
        Func<IEnumerable<(string, Parameter)>[], Optimizer> Make,
        Action<Optimizer, IEnumerable<(string, Parameter)>> Add
    )
    {
        public static Grouped Of<TOptions, TState>(
            TOptions first,
            TOptions second,
            Func<IEnumerable<ParameterGroup<TOptions>>, GroupedOptimizer<TOptions, TState>> make
        )
            where TOptions : GroupedOptions
            where TState : ParameterState
        {
            TOptions[] options = [first, second];
            return new(
                typeof(TOptions).DeclaringType!.Name,
                parts => make(parts.Select((p, i) => new ParameterGroup<TOptions>(p, options[i])).Where(g => g.Parameters.Count > 0)),
                (o, part) => ((GroupedOptimizer<TOptions, TState>)o).Add(new(part, second))
            );
        }
    }

    private static readonly Grouped[] WithGroups =
    [
        Grouped.Of(new Sgd.Options(), new() { LearningRate = 0.3, Nesterov = true }, g => new Sgd(g)),
        Grouped.Of(new Adam.Options(), new() { LearningRate = 0.3, Beta2 = 0.9 }, g => new Adam(g)),
        Grouped.Of(new AdamW.Options(), new() { LearningRate = 0.3, WeightDecay = 0.2 }, g => new AdamW(g)),
        Grouped.Of(new Lion.Options(), new() { LearningRate = 0.3, Beta1 = 0.5 }, g => new Lion(g)),
        Grouped.Of(new Muon.Options(), new() { LearningRate = 0.3, Orthogonalise = false }, g => new Muon(g)),
        Grouped.Of(new Soap.Options(), new() { LearningRate = 0.3, RefreshInterval = 2 }, g => new Soap(g)),
        Grouped.Of(new Shampoo.Options(), new() { LearningRate = 0.3, BlockSize = 3 }, g => new Shampoo(g)),
        Grouped.Of(new ScheduleFree.Options(), new() { LearningRate = 0.3, Beta1 = 0.5 }, g => new ScheduleFree(g)),
        Grouped.Of(new Lamb.Options(), new() { LearningRate = 0.3, Beta1 = 0.5 }, g => new Lamb(g)),
        Grouped.Of(new Adafactor.Options(), new() { LearningRate = 0.3, DecayPower = 0.6 }, g => new Adafactor(g)),
    ];

    public static TheoryData<string> GroupNames => [.. WithGroups.Select(g => g.Name)];

    [Theory, MemberData(nameof(GroupNames))]
    public void Two_groups_are_two_optimizers_also_when_one_comes_later(string name)
    {
        var grouped = Array.Find(WithGroups, g => g.Name == name)!;
        long[][] shapes =
        [
            [33],
            [5, 7],
            [3, 4],
            [11],
        ];
        var (whole, later, apart) = (Problem.Parameters(shapes), Problem.Parameters(shapes), Problem.Parameters(shapes));
        static (string, Parameter)[] Named(Parameter[] p, Range part) => [.. p.Select((x, i) => ($"p{i}", x)).ToArray()[part]];
        using var both = grouped.Make([Named(whole, ..2), Named(whole, 2..)]);
        using var first = grouped.Make([Named(apart, ..2), []]);
        using var second = grouped.Make([
            [],
            Named(apart, 2..),
        ]);
        using var grown = grouped.Make([Named(later, ..2), []]);
        Assert.Equal(2, both.ParamGroups.Count());
        for (int step = 0; step < 6; step++)
        {
            if (step == 3)
                grouped.Add(grown, Named(later, 2..));
            Problem.Steps(both, whole, step, step + 1);
            Problem.SetGradients(apart, step);
            first.step();
            second.step();
            Problem.Steps(grown, later, step, step + 1);
        }
        Assert.Equal(Problem.Values(apart), Problem.Values(whole));
        Assert.Equal(first.StateBytes + second.StateBytes, both.StateBytes);

        // the second group's first step was the fourth
        Assert.Equal(Problem.Values(whole[..2]), Problem.Values(later[..2]));
        var fresh = Problem.Parameters(shapes);
        using var alone = grouped.Make([
            [],
            Named(fresh, 2..),
        ]);
        Problem.Steps(alone, fresh, 3, 6);
        Assert.Equal(Problem.Values(fresh[2..]), Problem.Values(later[2..]));
        Assert.Contains(
            "is given twice",
            Assert.Throws<ArgumentException>(() => grouped.Add(both, [("other", whole[0])])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "'p0' occurs twice",
            Assert.Throws<ArgumentException>(() => grouped.Add(both, [("p0", nn.Parameter(zeros(1)))])).Message,
            StringComparison.Ordinal
        );
    }

    /// <summary>Every optimizer of groups is made of bare parameters, as in TorchSharp: <c>new AdamW(model.parameters())</c>.</summary>
    [Fact]
    public void Every_optimizer_of_groups_takes_the_model_s_parameters()
    {
        var types = typeof(Optimizer)
            .Assembly.GetExportedTypes()
            .Where(t =>
                !t.IsAbstract
                && t.IsAssignableTo(typeof(Optimizer))
                && t != typeof(Kfac)
                && t != typeof(PartitionedOptimizer)
                && t.GetConstructors()
                    .Any(c =>
                        c.GetParameters()[0].ParameterType is { IsGenericType: true } p
                        && p.GetGenericArguments()[0] is { IsGenericType: true }
                    )
            )
            .ToList();
        Assert.True(types.Count >= 12);
        foreach (var type in types)
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
