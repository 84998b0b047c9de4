namespace Amari.Tests.KfacOptimizer;

/// <summary>Groups with options of their own.</summary>
public sealed class KfacGroupOptionsTests() : KfacTest(51)
{
    private static ParameterGroup<T> Group<T>(nn.Module model, T options, Func<string, bool> chosen)
        where T : Kfac.BaseOptions => new(model.named_parameters().Where(p => chosen(p.name)), options);

    [Fact]
    public void Groups_have_their_own_learning_rate_damping_momentum_and_decay()
    {
        var (x, y) = (randn(8, 4), randint(0, 3, [8]));
        var second = Plain with
        {
            LearningRate = 0.2,
            Damping = 0.5,
            WeightDecay = 0.1,
            Step = (AutoStep)Plain.Step with { Momentum = 0.7 },
        };
        List<Dictionary<string, Tensor>> Run(Func<nn.Module, Kfac> make)
        {
            manual_seed(52);
            var model = TwoLayers();
            using var optimizer = make(model);
            return [Changes(model, optimizer, x, y), Changes(model, optimizer, x, y)];
        }
        var mixed = Run(m =>
            new(Group(m, Plain, n => n.StartsWith('a')), [Group(m, OwnOf(second), n => n.StartsWith('b'))], m, new Categorical())
        );
        var (first, other) = (Run(m => new(m, Plain, new Categorical())), Run(m => new(m, second, new Categorical())));
        foreach (string end in (string[])["weight", "bias"]) // in the first step the blocks do not see one another
        {
            Assert.InRange(Dense.RelativeError(mixed[0][$"a.{end}"], first[0][$"a.{end}"]), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(mixed[0][$"b.{end}"], other[0][$"b.{end}"]), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(first[0][$"b.{end}"], other[0][$"b.{end}"]), 0.1, 1000);
        }
        var clipped = Run(m =>
            new(
                Group(m, Plain with { Step = (AutoStep)Plain.Step with { KlClip = 1e-4 } }, n => n.StartsWith('a')),
                [Group(m, OwnOf(second), n => n.StartsWith('b'))],
                m,
                new Categorical()
            )
        );
        double nu = (clipped[0]["a.bias"].norm() / mixed[0]["a.bias"].norm()).ToDouble();
        Assert.InRange(nu, 1e-4, 0.9);
        Assert.Equal(nu, (clipped[0]["b.bias"].norm() / mixed[0]["b.bias"].norm()).ToDouble(), 1e-9); // one ν for all
    }

    [Fact]
    public void Groups_resume_schedule_and_refuse()
    {
        var model = TwoLayers();
        using var optimizer = new Kfac(
            Group(model, Plain, n => n == "a.weight"),
            [Group(model, OwnOf(Plain) with { LearningRate = 0.2 }, n => n != "a.weight")],
            model,
            new Categorical()
        );
        Assert.Equal(["a.weight", "a.bias"], optimizer.Group.Parameters.Select(p => p.Name)); // the bias goes with its weight
        Changes(model, optimizer, randn(8, 4), randint(0, 3, [8]));
        optim.lr_scheduler.StepLR(optimizer, 1, 0.5).step();
        Assert.Equal([0.5, 0.1], optimizer.ParamGroups.Take(2).Select(g => g.LearningRate));
        var same = TwoLayers();
        using var resumed = new Kfac(
            Group(same, Plain, n => n.StartsWith('a')),
            [Group(same, OwnOf(Plain), n => n.StartsWith('b'))],
            same,
            new Categorical()
        );
        resumed.Restore(optimizer.Snapshot());
        Assert.Equal(0.1, resumed.OtherGroups[0].LearningRate);
        using var single = new Kfac(same, Plain, new Categorical());
        Assert.Throws<InvalidDataException>(() => single.Restore(optimizer.Snapshot()));
        Assert.Throws<ArgumentException>(() =>
            new Kfac(Group(model, Plain, _ => true), [Group(model, OwnOf(Plain), n => n == "a.bias")], model, new Categorical())
        );
        Assert.Throws<ArgumentException>(() => new Kfac(Group(same, Plain, _ => true), [], model, new Categorical()));
    }
}
