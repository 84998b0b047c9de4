using Amari.Workloads;
using Amari.Workloads.Data;
using static TorchSharp.torch;

namespace Amari.Tests.Workloads;

/// <summary>The embedded patients.</summary>
public sealed class DiabetesTests
{
    [Fact]
    public void Columns_are_standardised_over_the_training_set()
    {
        using var scope = NewDisposeScope();
        var (train, test, _) = Diabetes.Load();
        Assert.Equal((332L, 110L), (train.Count, test!.Count));
        foreach (var column in (Tensor[])[train.Inputs, train.Targets])
        {
            Assert.InRange(column.mean([0]).abs().max().ToDouble(), 0, 1e-6);
            Assert.InRange(column.square().mean([0]).sub(1).abs().max().ToDouble(), 0, 1e-5);
        }
        // the first patient's progression, 151, and the mean, 151.66 over the training set
        Assert.InRange(train.Targets[0, 0].ToDouble() * Diabetes.Scale, -10, 10);
    }

    /// <summary>The target is what a linear regression, solved in closed form, reaches on held-out patients.</summary>
    [Fact]
    public void The_target_is_the_loss_of_linear_regression()
    {
        using var scope = NewDisposeScope();
        var (train, test, _) = Diabetes.Load();
        var b = linalg.lstsq(Design(train), train.Targets.to_type(ScalarType.Float64)).Solution;
        var error = Design(test!).mm(b).sub(test!.Targets);
        var workload = new DiabetesMlp();
        double loss = workload.Likelihood.Loss(Design(test!).mm(b), test!.Targets.to_type(ScalarType.Float64)).ToDouble();
        Assert.Equal(0.450653236, error.square().mean().ToDouble(), 5);
        Assert.Equal(workload.Target.Value, loss, 3);
    }

    private static Tensor Design(Dataset set) => cat([set.Inputs, ones(set.Count, 1)], 1).to_type(ScalarType.Float64);
}
