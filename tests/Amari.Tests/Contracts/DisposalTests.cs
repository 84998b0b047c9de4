using Amari.Native;
using Amari.Training;

namespace Amari.Tests.Contracts;

/// <summary>An optimizer whose state was disposed takes no step, and makes no state again.</summary>
public sealed class DisposalTests
{
    public static TheoryData<string> Names => [.. OptimizerCatalog.All.Select(e => e.Name)];

    [Theory, MemberData(nameof(Names))]
    public void A_disposed_optimizer_takes_no_step(string name)
    {
        using var scope = NewDisposeScope();
        using var model = OlderState.Model();
        var optimizer = OlderState.Make(name, model);
        for (int step = 0; step < 3; step++)
            OlderState.Step(optimizer, model, step);
        optimizer.Dispose();
        double[] before = Values();
        Assert.Throws<ObjectDisposedException>(() => OlderState.Step(optimizer, model, 3));
        Assert.Equal(before, Values());
        optimizer.Dispose();

        double[] Values() => [.. model.parameters().SelectMany(p => p.Elements<double>())];
    }
}
