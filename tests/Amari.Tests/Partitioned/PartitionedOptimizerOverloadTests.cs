namespace Amari.Tests.Partitioned;

/// <summary>Each way to write the arguments means one constructor: what compiles here.</summary>
public sealed class PartitionedOptimizerOverloadTests
{
    [Fact]
    public void Options_may_be_written_without_their_type()
    {
        using var model = nn.Sequential(("a", nn.Linear(3, 4)), ("b", nn.Linear(4, 2)));
        using var bare = new PartitionedOptimizer(model, new() { LearningRate = 0.3 });
        Assert.Equal(0.3, Assert.Single(bare.Groups).Options.LearningRate);
        using var withLikelihood = new PartitionedOptimizer(model, new() { MatrixOptimizer = new Kfac.Options() }, new Categorical());
        Assert.Contains(withLikelihood.Coverage.Rows, r => r.Block == "K-FAC Linear");
        using var named = new PartitionedOptimizer(model, options: new());
        Assert.Single(named.Groups);
    }

    [Fact]
    public void Lists_are_groups()
    {
        using var model = nn.Sequential(("a", nn.Linear(3, 4)), ("b", nn.Linear(4, 2)));
        var all = model.named_parameters().Select(p => (p.name, p.parameter)).ToList();
        using var written = new PartitionedOptimizer(model, [new(all, new() { LearningRate = 0.3 })]);
        Assert.Equal(0.3, Assert.Single(written.Groups).Options.LearningRate);
        using var made = new PartitionedOptimizer(model, [ParameterGroup.Of(model, new PartitionedOptimizer.Options())]);
        Assert.Single(made.Groups);
    }

    [Fact]
    public void Nothing_is_the_defaults()
    {
        using var model = nn.Sequential(("a", nn.Linear(3, 4)), ("b", nn.Linear(4, 2)));
        using var one = new PartitionedOptimizer(model);
        using var two = new PartitionedOptimizer(model, null);
        Assert.Equal(new PartitionedOptimizer.Options().LearningRate, Assert.Single(one.Groups).Options.LearningRate);
        Assert.Single(two.Groups);
    }
}
