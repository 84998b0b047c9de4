using Amari.Cli.Commands;

namespace Amari.Tests.Contracts;

/// <summary>Weights that nobody can have meant are reported by name when an optimizer is made.</summary>
public sealed class UninitialisedTests
{
    private static readonly Dictionary<string, Func<nn.Module<Tensor, Tensor>, Amari.Optimizer>> Makers = new()
    {
        ["adamw"] = m => new AdamW(m),
        ["kfac"] = m => new Kfac(m, null, new Categorical()),
        ["routed"] = m => new PartitionedOptimizer(m),
        ["newton-cg"] = m => new NewtonCg(m, new Categorical()),
        ["shampoo"] = m => new Shampoo(m),
    };

    public static TheoryData<string, double> Cases
    {
        get
        {
            var data = new TheoryData<string, double>();
            foreach (string name in Makers.Keys)
            foreach (double value in (double[])[-2e38, 1e11, double.NaN, double.PositiveInfinity])
                data.Add(name, value);
            return data;
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void The_parameter_is_named(string name, double value)
    {
        using var model = Model();
        using (no_grad())
            model.get_parameter("norm.weight")!.select(0, 2).fill_(value);
        using var optimizer = Makers[name](model);
        var logged = Assert.Single(optimizer.Events);
        Assert.Equal((0, "norm.weight"), (logged.Step, logged.Subject));
        Assert.Contains("above 1e10 in magnitude", logged.Message, StringComparison.Ordinal);
        Assert.Contains("GroupNorm", logged.Message, StringComparison.Ordinal);
    }

    [Theory, InlineData("adamw"), InlineData("kfac"), InlineData("routed"), InlineData("newton-cg"), InlineData("shampoo")]
    public void Large_numbers_that_may_be_meant_are_not(string name)
    {
        using var model = Model();
        using (no_grad())
            model.get_parameter("norm.weight")!.fill_(1e9);
        using var optimizer = Makers[name](model);
        Assert.Empty(optimizer.Events);
    }

    private static nn.Module<Tensor, Tensor> Model()
    {
        var model = nn.Sequential(("fc", nn.Linear(4, 6)), ("norm", nn.GroupNorm(2, 6)), ("out", nn.Linear(6, 3)));
        using var off = no_grad();
        model.get_parameter("norm.weight")!.fill_(1);
        model.get_parameter("norm.bias")!.fill_(0);
        return model;
    }
}
