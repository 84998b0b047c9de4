using Amari.Distributed;
using Amari.Reporting;
using Amari.Verification;
using TorchSharp;
using TorchSharp.Modules;
using static Amari.Ranks.Agreement;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>Training on ranks against one process with the whole batch, computed here on every rank by the same library without a
/// communicator.</summary>
internal static class Training
{
    private const int Steps = 7;
    public const int Batch = 30; // not divisible by 4: uneven parts

    /// <summary>A network with a convolution and a normalisation, in float64, so that rounding stays far below what an error would cause;
    /// narrower than a batch is long, for an eigenbasis is not determined where eigenvalues are equal.</summary>
    public static Sequential Model(int seed)
    {
        manual_seed(seed);
        var model = nn.Sequential(
            ("conv", nn.Conv2d(1, 4, 3)),
            ("tanh", nn.Tanh()),
            ("pool", nn.AvgPool2d(3)),
            ("flat", nn.Flatten()),
            ("fc1", nn.Linear(16, 20)),
            ("norm", nn.LayerNorm(20)),
            ("tanh2", nn.Tanh()),
            ("fc2", nn.Linear(20, 10))
        );
        model.to(ScalarType.Float64);
        return model;
    }

    public static (Tensor X, Tensor Y) Data()
    {
        using var generator = new Generator(5);
        return (
            randn([96, 1, 8, 8], dtype: ScalarType.Float64, generator: generator),
            randint(0, 10, [96], dtype: ScalarType.Int64, generator: generator)
        );
    }

    public static void Run(Communicator world)
    {
        foreach (var (name, create) in Methods.Plain)
        {
            if (world.Size > 2 && (Methods.Whole.Contains(name) || name is ("sgd" or "adam" or "kfac repeated" or "kfac empirical")))
                continue; // two ranks have shown them
            var expected = Alone(world, create, null);
            foreach (
                bool shard in Methods.Whole.Contains(name) ? (bool[])[false]
                : world.Size == 2 ? [false, true]
                : [true]
            )
            {
                var actual = Train(world, create, shard, new() { BucketBytes = 2000, Overlap = shard }, null);
                double error = expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max();
                if (!(error < 1e-9))
                    throw new InvalidOperationException($"{name} {(shard ? "sharded" : "")}: differs from one process by {error:G3}");
                Same(world, name, actual);
            }
        }
        foreach (var (name, create) in Methods.Batched)
        {
            if (
                world.Size > 2
                && name
                    is ("hessian-free" or "hessian-free kfac" or "lbfgs" or "natural-gradient cg" or "kfac quadratic" or "kfac rejecting")
            )
                continue;
            int examples = name == "hessian-free kfac" ? 96 : 91; // factors need an example on every rank
            Amari.Optimizer? alone = null,
                made = null;
            var expected = Alone(world, create, o => alone = o, examples: examples, steps: 5);
            var actual = Train(world, create, false, new(), o => made = o, examples: examples, steps: 5);
            Check($"{name}: as one process", Distance(expected, actual) < 1e-8 && Distance(expected, Values(Model(100))) > 1e-2);
            Check($"{name}: rejects", name != "kfac rejecting" || made is Kfac { RejectedSteps: > 0 });
            Same(world, name, actual);
            Same(world, $"{name}: report", Reported(made));
            Check(
                $"{name}: report as one process",
                world.Rank > 0
                    || Reported(alone)
                        .Zip(Reported(made))
                        .All(t => t.First.Equals(t.Second) || Math.Abs(t.First - t.Second) <= 1e-6 * Math.Abs(t.First))
            );
        }
        Amari.Optimizer Some(nn.Module m) =>
            new Kfac(m, Methods.KfacOptions with { Step = new QuadraticStep { BatchSize = 8 } }, new Categorical());
        var some = Train(world, Some, false, new(), null, examples: 91, steps: 5);
        Check("a part of the batch for the model: as one process", Distance(Alone(world, Some, null, examples: 91, steps: 5), some) < 1e-8);
        Same(world, "a part of the batch for the model", some);
        Drawn(world);
        Parted(world);
        Clipped(world);
        Summed(world);
        Parts.Run(world);
        DividedState.Run(world);
    }

    /// <summary>What one process comes to: rank 0 alone, with the whole batch.</summary>
    public static double[] Alone(
        Communicator world,
        Func<nn.Module, Amari.Optimizer> create,
        Action<Amari.Optimizer>? with,
        bool sum = false,
        int examples = 96,
        int steps = Steps
    )
    {
        var values = world.Rank == 0 ? Train(SingleProcess.Instance, create, false, new(), with, sum, examples, steps) : Values(Model(0));
        using var t = tensor(values);
        world.Broadcast(t, 0);
        return t.data<double>().ToArray();
    }

    /// <summary>All parameters after some steps.</summary>
    public static double[] Train(
        Communicator ranks,
        Func<nn.Module, Amari.Optimizer> create,
        bool shard,
        DataParallel.Options options,
        Action<Amari.Optimizer>? with,
        bool sum = false,
        int examples = 96,
        int steps = Steps,
        bool placed = true
    )
    {
        using var scope = NewDisposeScope();
        using var model = Model(ranks.Size > 1 ? 100 + ranks.Rank : 100); // rank 0's weights must become everyone's
        using var optimizer = create(model);
        with?.Invoke(optimizer);
        optimizer.Distribute(ranks, shard);
        using var parallel = new DataParallel(model, ranks, options);
        var (x, y) = Data();
        var batches = new ShardedBatches(examples, Batch, 3, ranks.Rank, ranks.Size);
        for (int step = 0; step < steps; step++)
        {
            using var inner = NewDisposeScope();
            if (placed)
                optimizer.BatchPart = batches.Part(step);
            int[] rows = batches.Rows(step).ToArray(); // the last batch of an epoch has 6 examples, or 1
            var index = tensor(rows, dtype: ScalarType.Int64);
            Step(
                model,
                optimizer,
                parallel,
                x.index_select(0, index),
                y.index_select(0, index),
                sum ? nn.Reduction.Sum : nn.Reduction.Mean
            );
        }
        return Values(model);
    }

    private static void Step(Sequential model, Amari.Optimizer optimizer, DataParallel parallel, Tensor x, Tensor y, nn.Reduction reduction)
    {
        if (optimizer is SecondOrderOptimizer secondOrder)
            secondOrder.StepOnBatch(x, y);
        else if (optimizer is Kfac { EvaluatesLoss: true } kfac)
            kfac.StepOnBatch(x, y);
        else
        {
            optimizer.UpdateCurvature(x, y);
            optimizer.zero_grad();
            if (x.shape[0] > 0)
            {
                var output = model.call(x);
                parallel.Weight = x.shape[0];
                nn.functional.cross_entropy(output, y, reduction: reduction).backward();
            }
            parallel.AverageGradients(x.shape[0]);
            optimizer.step();
        }
    }

    /// <summary>Of the report of the last step.</summary>
    private static double[] Reported(Amari.Optimizer? optimizer) =>
        ((optimizer as SecondOrderOptimizer)?.Report ?? (optimizer as Kfac)?.Report) is { } r
            ? [r.LossBefore, r.LossAfter, r.GradientNorm, r.StepNorm, r.AchievedKl ?? 0]
            : [];

    /// <summary>Ranks draw targets independently: with the same examples on each, the estimate is that of one of them and not so many times
    /// as large.</summary>
    private static void Drawn(Communicator world)
    {
        double Sum(Communicator ranks)
        {
            using var scope = NewDisposeScope();
            using var model = Model(1);
            using var optimizer = new Sophia(model, new Categorical(), new() { Beta2 = 0, Samples = 200 });
            optimizer.Distribute(ranks);
            optimizer.UpdateCurvature(Data().X, Data().Y);
            return optimizer
                .Snapshot()
                .Tensors.Where(t => t.Key.EndsWith("Curvature", StringComparison.Ordinal))
                .Sum(t => t.Value.sum().ToDouble());
        }
        double ratio = Sum(world) / Sum(SingleProcess.Instance);
        Check($"draws of ranks: ratio {ratio:G3}", Math.Abs(ratio - 1) < 0.2);
    }

    public static double[] Values(nn.Module model)
    {
        using var scope = NewDisposeScope();
        return [.. model.parameters().SelectMany(p => p.detach().to_type(ScalarType.Float64).contiguous().data<double>().ToArray())];
    }

    private static void Clipped(Communicator world)
    {
        foreach (string name in (string[])["adamw", "kfac lean"])
        foreach (bool shard in (bool[])[false, true])
        {
            var expected = Alone(world, Methods.Plain[name], o => o.MaxGradientNorm = 0.5);
            var free = Alone(world, Methods.Plain[name], null);
            var actual = Train(world, Methods.Plain[name], shard, new(), o => o.MaxGradientNorm = 0.5);
            Check($"clipped {name}", Distance(expected, actual) < 1e-9 && Distance(expected, free) > 1e-6);
        }
    }

    private static void Summed(Communicator world)
    {
        Func<nn.Module, Amari.Optimizer> kfac = m => new Kfac(
            m,
            Methods.KfacOptions with
            {
                Reduction = LossReduction.Sum,
                Curvature = Methods.KfacOptions.Curvature with
                {
                    Refresh = Methods.KfacOptions.Curvature.Refresh with { FactorInterval = 2 },
                },
            },
            new Categorical()
        );
        var expected = Alone(world, kfac, null, sum: true);
        var actual = Train(world, kfac, false, new() { Reduction = LossReduction.Sum }, null, sum: true);
        Check("a loss that is a sum", Distance(expected, actual) < 1e-9);
    }

    /// <summary>Ranks that decide differently stop, all with the same sentence, before anything is made of it.</summary>
    private static void Parted(Communicator world)
    {
        using var model = Model(1);
        using var optimizer = new NewtonCg(model, new Categorical(), new() { Radius = 1e3, Tolerance = 1e-9 });
        optimizer.Distribute(world);
        optimizer.Group.Options = optimizer.Group.Options with { MaxIterations = world.Rank == 0 ? 1 : 2 };
        try
        {
            optimizer.StepOnBatch(Data().X, Data().Y);
            Check("different decisions", false);
        }
        catch (InvalidOperationException e) when (e.Message.StartsWith("Ranks made different decisions", StringComparison.Ordinal)) { }
    }
}
