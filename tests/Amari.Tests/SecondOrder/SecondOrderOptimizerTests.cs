using System.Reflection;
using Amari.Reporting;
using Amari.Solvers;
using static Amari.Tests.SecondOrder.SecondOrderCases;
using static TorchSharp.torch.optim;

namespace Amari.Tests.SecondOrder;

/// <summary>What every second-order optimizer promises.</summary>
public sealed class SecondOrderOptimizerTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>Those that need no model.</summary>
    private static readonly Func<Parameter, SecondOrderOptimizer>[] OfParameters =
    [
        .. from type in Methods
        from constructor in type.GetConstructors()
        where constructor.GetParameters()[0].ParameterType == typeof(IEnumerable<Parameter>)
        select (Func<Parameter, SecondOrderOptimizer>)(
            w =>
                (SecondOrderOptimizer)
                    constructor.Invoke(
                        BindingFlags.DoNotWrapExceptions,
                        null,
                        [new[] { w }, .. new object?[constructor.GetParameters().Length - 1]],
                        null
                    )
        ),
    ];

    [Fact]
    public void Every_method_is_among_the_cases() => Assert.Equal(Names(Methods), Names(Cases().DistinctBy(t => t.Name)));

    private static IEnumerable<string> Names(IEnumerable<Type> types) => types.Select(t => t.Name).Order(StringComparer.Ordinal);

    private static IEnumerable<Type> Cases()
    {
        foreach (string name in SecondOrderCases.Names)
        {
            using var optimizer = Make(name, Model());
            yield return optimizer.GetType();
        }
    }

    [Fact]
    public void A_loss_without_a_graph_is_refused_and_nothing_moves()
    {
        foreach (var make in OfParameters)
        foreach (var fault in (Func<Tensor, Tensor>[])[l => l.detach(), _ => tensor(2.0f), l => l.to_type(ScalarType.Int64)])
        {
            var w = nn.Parameter(ones(3));
            using var optimizer = make(w);
            var error = Assert.Throws<InvalidOperationException>(() => optimizer.step(() => fault(w.square().sum())));
            Assert.StartsWith("The loss does not depend on the parameters", error.Message, StringComparison.Ordinal);
            Assert.True(w.eq(1).all().ToBoolean());
        }
    }

    [Fact]
    public void A_loss_of_several_numbers_is_refused_with_its_shape()
    {
        foreach (var make in OfParameters)
        {
            var w = nn.Parameter(ones(3));
            using var optimizer = make(w);
            var error = Assert.Throws<ArgumentException>(() => optimizer.step(() => w.square()));
            Assert.Contains("must be a real scalar; the function returned Float32 [3]", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Parameters_without_elements_are_refused()
    {
        foreach (var make in OfParameters)
            Assert.Contains(
                "there is nothing to train",
                Assert.Throws<ArgumentException>(() => make(nn.Parameter(empty(0, 3)))).Message,
                StringComparison.Ordinal
            );
    }

    [Fact]
    public void Sparse_gradients_of_embeddings_are_those_of_dense_ones()
    {
        var weights = randn(5, 2);
        double[] After(bool sparse)
        {
            var embedding = nn.Embedding(5, 2, sparse: sparse);
            using (no_grad())
                embedding.weight!.copy_(weights);
            using var optimizer = new Lbfgs(embedding.parameters(), new() { Iterations = 3 });
            optimizer.step(() => (embedding.call(tensor(new long[] { 1, 3, 1 })) - 1).pow(4).sum())!.Dispose();
            return Values(embedding);
        }
        Assert.Equal(After(false), After(true));
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(SecondOrderCases))]
    public void A_resumed_run_equals_an_uninterrupted_one_bitwise(string name)
    {
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        var (whole, first, second) = (Model(), Model(), Model());
        using var straight = Make(name, whole);
        for (int i = 0; i < 7; i++)
            StepOnBatch(straight, i);
        using (var before = Make(name, first))
        {
            for (int i = 0; i < 3; i++)
                StepOnBatch(before, i);
            before.Save(file);
        }
        using (no_grad())
            foreach (var (p, q) in second.parameters().Zip(first.parameters()))
                p.copy_(q);
        using var after = Default(name, second);
        after.Load(file);
        File.Delete(file);
        for (int i = 3; i < 7; i++)
            StepOnBatch(after, i);
        Assert.Equal(Values(whole), Values(second));
        Assert.Equal(straight.Report, after.Report);
        Assert.Equal(straight.Snapshot().Values.ToJsonString(), after.Snapshot().Values.ToJsonString());
        Assert.Equal(straight.Events, after.Events);
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(SecondOrderCases))]
    public void Lowers_the_loss_and_reports_it(string name)
    {
        var model = Model();
        using var optimizer = Make(name, model);
        Assert.Null(optimizer.Report);
        var (x, y) = Batch(1);
        model.eval();
        var likelihood = LikelihoodOf(name);
        double before = likelihood.Loss(model.call(x), y).ToDouble();
        StepReport report = null!;
        for (int i = 1; i <= 10; i++)
        {
            report = optimizer.StepOnBatch(x, y);
            Assert.Equal(i, report.Step);
            Assert.Same(report, optimizer.Report);
            if (i == 1)
                Assert.Equal(before, report.LossBefore, 1e-6);
            Assert.Equal(likelihood.Loss(model.call(x), y).ToDouble(), report.LossAfter, 1e-6);
        }
        Assert.True(report.LossAfter < 0.95 * before, $"{before} to {report.LossAfter}");
        Assert.All(optimizer.Coverage.Rows, r => Assert.Equal(optimizer.GetType().Name, r.Block));
        Assert.Equal(model.named_parameters().Select(p => p.name), optimizer.Coverage.Rows.Select(r => r.Parameter));
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(SecondOrderCases))]
    public void Live_tensors_do_not_grow(string name)
    {
        var model = Model();
        using var optimizer = Make(name, model);
        var (x, y) = Batch(1);
        using var outer = NewDisposeScope();
        for (int i = 0; i < 2; i++)
            optimizer.StepOnBatch(x, y);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        int held = (int)outer.DisposablesCount;
        for (int i = 0; i < 10; i++)
            optimizer.StepOnBatch(x, y);
        Assert.InRange(DisposeScopeManager.Statistics.ThreadTotalLiveCount, 0, before);
        Assert.Equal(held, (int)outer.DisposablesCount);
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(SecondOrderCases))]
    public void The_model_is_left_in_its_mode_and_its_gradients_alone(string name)
    {
        var model = Model();
        model.train();
        using var optimizer = Make(name, model);
        foreach (var p in model.parameters())
            p.grad = ones_like(p);
        StepOnBatch(optimizer, 1);
        Assert.All(model.named_modules(), m => Assert.True(m.module.training));
        Assert.All(model.parameters(), p => Assert.True(p.grad!.eq(1).all().ToBoolean()));
        optimizer.zero_grad();
        Assert.All(model.parameters(), p => Assert.Null(p.grad));
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(SecondOrderCases))]
    public void TorchSharp_s_schedulers_drive_it(string name)
    {
        Func<Amari.Optimizer, lr_scheduler.LRScheduler>[] schedulers =
        [
            o => lr_scheduler.StepLR(o, 1, 0.5),
            o => lr_scheduler.ExponentialLR(o, 0.5),
            o => lr_scheduler.CosineAnnealingLR(o, 5),
            o => lr_scheduler.LambdaLR(o, epoch => 1.0 / (1 + epoch)),
            o => lr_scheduler.OneCycleLR(o, 0.5, total_steps: 10, cycle_momentum: false),
        ];
        foreach (var make in schedulers)
        {
            var model = Model();
            using var optimizer = Make(name, model);
            var scheduler = make(optimizer);
            var rates = new List<double>();
            for (int epoch = 0; epoch < 3; epoch++)
            {
                rates.Add(optimizer.ParamGroups.Single().LearningRate);
                var report = StepOnBatch(optimizer, epoch);
                if (name.StartsWith("Newton", StringComparison.Ordinal))
                    Assert.Equal(rates[^1], report.StepSize);
                scheduler.step();
            }
            Assert.Equal(3, rates.Distinct().Count());
        }
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(SecondOrderCases))]
    public void Follows_a_module_that_moves_to_float64_in_the_middle(string name)
    {
        var model = Model();
        using var optimizer = Make(name, model);
        StepOnBatch(optimizer, 1);
        model.to(ScalarType.Float64);
        var before = Values(model);
        StepOnBatch(optimizer, 2, ScalarType.Float64);
        Assert.NotEqual(before, Values(model));
        optimizer.to(CPU);
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(SecondOrderCases))]
    public void What_is_not_finite_is_skipped_counted_and_logged(string name)
    {
        var model = Model();
        using var optimizer = Make(name, model);
        var (x, y) = Batch(1);
        var before = Values(model);
        for (int i = 0; i < 2; i++)
            Assert.Equal(StepOutcome.Skipped, optimizer.StepOnBatch(x * double.NaN, y).Outcome);
        Assert.Equal(before, Values(model));
        Assert.Equal(2, optimizer.SkippedSteps);
        var logged = Assert.Single(optimizer.Events);
        Assert.Contains("skipped (2 times by now)", logged.Message, StringComparison.Ordinal);
        Assert.Equal(1, logged.Step);
        Assert.NotEqual(StepOutcome.Skipped, optimizer.StepOnBatch(x, y).Outcome);
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(SecondOrderCases))]
    public void State_of_another_optimizer_or_model_is_refused(string name)
    {
        using var optimizer = Make(name, Model());
        StepOnBatch(optimizer, 1);
        var snapshot = optimizer.Snapshot();
        using var other = Make(name == "Newton" ? "Lbfgs" : "Newton", Model());
        Assert.Contains("not of", Assert.Throws<InvalidDataException>(() => other.Restore(snapshot)).Message, StringComparison.Ordinal);
        using var larger = Default(name, nn.Sequential(("a", nn.Linear(4, 6)), ("b", nn.Linear(6, 3))));
        Assert.Throws<InvalidDataException>(() => larger.Restore(snapshot));
    }

    [Fact]
    public void Wrong_use_is_refused_in_one_sentence()
    {
        var model = Model();
        using var newton = new Newton(model, new Categorical());
        Assert.Contains("step(closure)", Assert.Throws<InvalidOperationException>(() => newton.step()).Message, StringComparison.Ordinal);
        using var free = new HessianFree(model, new Categorical());
        using var natural = new NaturalGradient(model, new Categorical());
        foreach (SecondOrderOptimizer o in (SecondOrderOptimizer[])[free, natural])
            Assert.Contains(
                "call StepOnBatch(inputs, targets)",
                Assert.Throws<InvalidOperationException>(() => o.step(() => zeros(1))).Message,
                StringComparison.Ordinal
            );
        using var plain = new NewtonCg(model.parameters());
        Assert.Contains(
            "step(closure)",
            Assert.Throws<InvalidOperationException>(() => StepOnBatch(plain, 1)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "float32 or float64",
            Assert.Throws<ArgumentException>(() => new Lbfgs(Model(ScalarType.BFloat16), new Categorical())).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Dense_methods_refuse_large_models_with_limit_and_remedy()
    {
        var model = nn.Linear(1000, 200);
        var error = Assert.Throws<ArgumentException>(() => new Newton(model, new Categorical()));
        Assert.Equal(
            "Newton forms a dense matrix: 200,200 parameters need 447.9 GiB, above the limit of 1.0 GiB (MaxDenseBytes); use NewtonCg, "
                + "which forms none.",
            error.Message
        );
        Assert.Throws<ArgumentException>(() => new SaddleFreeNewton(model.parameters()));
        Assert.Contains(
            "ConjugateGradient",
            Assert
                .Throws<ArgumentException>(() =>
                    new NaturalGradient(model, new Categorical(), new() { Solver = new LinearSolver.Normal() })
                )
                .Message,
            StringComparison.Ordinal
        );
        using var fits = new Newton(model, new Categorical(), new() { MaxDenseBytes = 1L << 40 });
        using var automatic = new NaturalGradient(model, new Categorical());
    }
}
