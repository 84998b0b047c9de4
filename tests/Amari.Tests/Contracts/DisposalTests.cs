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

    [Theory, MemberData(nameof(Names))]
    public void The_parameters_of_a_disposed_model_are_named(string name)
    {
        using var scope = NewDisposeScope();
        var model = OlderState.Model();
        using var optimizer = OlderState.Make(name, model);
        for (int step = 0; step < 2; step++)
            OlderState.Step(optimizer, model, step);
        model.Dispose();
        Refuses(() => optimizer.zero_grad());
        Refuses(() =>
        {
            if (optimizer.EvaluatesLoss)
                optimizer.StepOnBatch(ones(8, 4), zeros([8], dtype: ScalarType.Int64));
            else
                optimizer.step();
        });

        static void Refuses(Action action) =>
            Assert.Contains("The parameter 'a.weight' was disposed", Assert.Throws<InvalidOperationException>(action).Message);
    }
}
