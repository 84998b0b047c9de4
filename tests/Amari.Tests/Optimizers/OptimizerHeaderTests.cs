using System.Text.Json.Nodes;

namespace Amari.Tests.Optimizers;

/// <summary>All optimizers begin their snapshots alike, and restore that part alike.</summary>
public sealed class OptimizerHeaderTests
{
    public static TheoryData<string> Names => [nameof(AdamW), nameof(Kfac), nameof(Lbfgs), nameof(NewtonCg), nameof(PartitionedOptimizer)];

    private static Optimizer Make(string name, nn.Module<Tensor, Tensor> model) =>
        name switch
        {
            nameof(AdamW) => new AdamW(model),
            nameof(Kfac) => new Kfac(model),
            nameof(Lbfgs) => new Lbfgs(model, new Categorical()),
            nameof(NewtonCg) => new NewtonCg(model, new Categorical()),
            _ => new PartitionedOptimizer(model),
        };

    [Theory, MemberData(nameof(Names))]
    public void Header_says_what_was_counted_and_logged(string name)
    {
        using var model = nn.Sequential(("a", nn.Linear(3, 4)), ("b", nn.Linear(4, 2)));
        using var optimizer = Make(name, model);
        var values = optimizer.Snapshot().Values;
        Assert.Equal(["type", "schema", "clippedSteps", "skippedSteps", "events"], values.Select(v => v.Key).Take(5));
        Assert.Equal(name, (string?)values["type"]);
        values["clippedSteps"] = 3;
        values["skippedSteps"] = 2;
        values["events"] = new JsonArray(new JsonArray("a", "it happened", 4L, 2L));
        optimizer.Restore(new(optimizer.Snapshot().Tensors, values));
        Assert.Equal((3L, 2L), (optimizer.ClippedSteps, optimizer.SkippedSteps));
        Assert.Contains(optimizer.Events, e => e is { Subject: "a", Step: 4, Message: "it happened (2 times by now)" });
    }

    [Theory, MemberData(nameof(Names))]
    public void Bad_count_is_refused_and_changes_nothing(string name)
    {
        using var model = nn.Sequential(("a", nn.Linear(3, 4)), ("b", nn.Linear(4, 2)));
        using var optimizer = Make(name, model);
        var values = optimizer.Snapshot().Values;
        values["skippedSteps"] = -1;
        var e = Assert.Throws<InvalidDataException>(() => optimizer.Restore(new(optimizer.Snapshot().Tensors, values)));
        Assert.Equal("The saved 'skippedSteps' is -1; it must be a whole number from 0 to 9007199254740992.", e.Message);
        Assert.Equal(0, optimizer.SkippedSteps);
    }
}
