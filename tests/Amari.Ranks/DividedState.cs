using Amari.Distributed;
using Amari.Training;
using Amari.Verification;
using TorchSharp;
using static Amari.Ranks.Agreement;
using static Amari.Ranks.Training;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>State and inverses that ranks divide: how much each holds, one file whatever their number, and what refuses to be
/// divided.</summary>
internal static class DividedState
{
    public static void Run(Communicator world)
    {
        State(world);
        BadBatch(world);
        Live(world);
        Held(world);
        Chosen(world);
        Refused(world);
    }

    /// <summary>Divided state: about a share of the bytes, and one file whatever the number of ranks.</summary>
    private static void State(Communicator world)
    {
        foreach (string name in (string[])["adamw", "lion", "kfac lean", "kfac half"])
        {
            using var scope = NewDisposeScope();
            using var model = Model(1);
            using var optimizer = Methods.Plain[name](model);
            using var plain = Methods.Plain[name](model);
            optimizer.Distribute(world, shardState: true);
            model.call(Data().X).sum().backward();
            optimizer.step();
            if (name is "adamw" or "lion")
            {
                plain.step();
                using var bytes = tensor((double)optimizer.StateBytes).reshape(1);
                world.AllReduce(bytes);
                Check(
                    $"{name}: bytes of divided state",
                    bytes[0].ToDouble() == plain.StateBytes && optimizer.StateBytes < plain.StateBytes
                );
            }
            var snapshot = optimizer.Snapshot();
            if (world.Rank > 0)
                continue;
            using var fresh = Methods.Plain[name](model);
            fresh.Restore(snapshot); // one process takes it whole
            var again = fresh.Snapshot();
            Check(
                $"{name}: snapshot",
                again.Tensors.Count == snapshot.Tensors.Count
                    && again.Tensors.All(t => t.Key == "generator" || t.Value.eq(snapshot.Tensors[t.Key]).all().ToBoolean())
            );
        }
    }

    /// <summary>A gradient that is not finite stops the step on every rank, whoever has the state of its parameter.</summary>
    private static void BadBatch(Communicator world)
    {
        foreach (string name in (string[])["adamw", "lion"])
        foreach (int bad in Enumerable.Range(0, 4))
        {
            using var scope = NewDisposeScope();
            using var model = Model(1);
            using var optimizer = Methods.Plain[name](model);
            optimizer.Distribute(world, shardState: true);
            for (int step = 0; step < 4; step++)
            {
                optimizer.zero_grad();
                model.call(Data().X).sum().backward();
                var all = model.parameters().ToList();
                double[] before = Values(model);
                if (step is 0 or 2)
                    using (no_grad())
                        all[bad % all.Count].grad!.flatten()[0].fill_(double.NaN);
                optimizer.step();
                Check($"{name}: a bad batch", (step is 0 or 2) == before.SequenceEqual(Values(model)));
                Same(world, $"{name}: a bad batch", Values(model));
            }
            Check($"{name}: bad batches are counted", optimizer.SkippedSteps == 2 && optimizer.Events.Count == 1);
        }
    }

    /// <summary>Ways to invert are chosen by all ranks' clocks together, and so the same on each; times that are equal to the last bit were
    /// exchanged.</summary>
    private static void Chosen(Communicator world)
    {
        foreach (
            var options in (Kfac.Options[])
                [
                    Methods.KfacOptions with
                    {
                        Curvature = Methods.KfacOptions.Curvature with
                        {
                            Distribution = Methods.KfacOptions.Curvature.Distribution with { InverseWork = InverseWork.Replicated },
                        },
                    },
                    Methods.KfacOptions,
                    Methods.KfacOptions with
                    {
                        Curvature = Methods.KfacOptions.Curvature with
                        {
                            Distribution = Methods.KfacOptions.Curvature.Distribution with { GradWorkerFraction = 0 },
                        },
                    },
                ]
        )
        {
            using var scope = NewDisposeScope();
            manual_seed(1);
            using var model = nn.Sequential(("fc1", nn.Linear(140, 130)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(130, 10)));
            using var optimizer = new Kfac(
                model,
                options with
                {
                    Curvature = options.Curvature with
                    {
                        Inverse = new InverseOptions.Auto(),
                        FactorEma = 0.99,
                        Refresh = options.Curvature.Refresh with { InverseInterval = 1 },
                    },
                },
                new Categorical()
            );
            optimizer.Distribute(world);
            using var parallel = new DataParallel(model, world);
            using var generator = new Generator((ulong)(7 + world.Rank));
            for (int step = 0; step < 7; step++)
            {
                optimizer.zero_grad();
                nn.functional.cross_entropy(
                        model.call(randn([64, 140], generator: generator)),
                        randint(0, 10, [64], dtype: ScalarType.Int64, generator: generator)
                    )
                    .backward();
                parallel.AverageGradients();
                optimizer.step();
            }
            string ways = string.Join(
                "; ",
                optimizer.Events.Select(e => e.Message).Where(m => m.StartsWith("inverses of size", StringComparison.Ordinal))
            );
            Check(
                $"ways to invert: {ways}",
                ways.Count(c => c == ';') == 2
                    && ways == world.Broadcast(ways, 0)
                    && optimizer.Snapshot().Values["inverses"]!.ToJsonString() is var saved
                    && saved == world.Broadcast(saved, 0)
            );
            Same(world, "ways to invert", Values(model));
        }
    }

    /// <summary>Where inverses are held, and that nothing is held twice for want of sending.</summary>
    private static void Held(Communicator world)
    {
        double Bytes(Kfac.Options options)
        {
            using var scope = NewDisposeScope();
            using var model = Model(1);
            using var optimizer = new Kfac(model, options, new Categorical());
            optimizer.Distribute(world);
            nn.functional.cross_entropy(model.call(Data().X), Data().Y).backward();
            optimizer.step();
            var sum = tensor((double)optimizer.StateBytes).reshape(1);
            world.AllReduce(sum);
            return sum[0].ToDouble();
        }
        double everywhere = Bytes(Methods.KfacOptions),
            half = Bytes(
                Methods.KfacOptions with
                {
                    Curvature = Methods.KfacOptions.Curvature with
                    {
                        Distribution = Methods.KfacOptions.Curvature.Distribution with { GradWorkerFraction = 0.5 },
                    },
                }
            ),
            lean = Bytes(
                Methods.KfacOptions with
                {
                    Curvature = Methods.KfacOptions.Curvature with
                    {
                        Distribution = Methods.KfacOptions.Curvature.Distribution with { GradWorkerFraction = 0 },
                    },
                }
            );
        Check("inverses held", lean < everywhere && (world.Size > 2 ? lean < half && half < everywhere : half == lean));
        Check(
            "inverses in bfloat16",
            Bytes(
                Methods.KfacOptions with
                {
                    Curvature = Methods.KfacOptions.Curvature with
                    {
                        Inverse = new InverseOptions.Nystrom { Precision = MatmulPrecision.BFloat16 },
                    },
                }
            ) < everywhere
        );
        Check(
            "inverses repeated",
            Bytes(
                Methods.KfacOptions with
                {
                    Curvature = Methods.KfacOptions.Curvature with
                    {
                        Distribution = Methods.KfacOptions.Curvature.Distribution with { InverseWork = InverseWork.Replicated },
                    },
                }
            ) == everywhere
        );
    }

    /// <summary>Steps leave no tensors behind.</summary>
    private static void Live(Communicator world)
    {
        using var model = Model(1);
        using var optimizer = Methods.Plain["kfac half"](model);
        optimizer.Distribute(world, shardState: true);
        using var parallel = new DataParallel(model, world, new() { Overlap = true });
        var (x, y) = Data();
        long Step()
        {
            using (NewDisposeScope())
            {
                optimizer.zero_grad();
                var loss = nn.functional.cross_entropy(model.call(x), y);
                parallel.Weight = 96;
                loss.backward();
                parallel.AverageGradients();
                optimizer.step();
            }
            return DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        }
        for (int i = 0; i < 4; i++)
            Step();
        long before = Step();
        for (int i = 0; i < 9; i++)
            Step();
        Check("live tensors", Step() == before);
        x.Dispose();
        y.Dispose();
    }

    /// <summary>Methods that look at whole matrices keep their state whole, and say so.</summary>
    private static void Refused(Communicator world)
    {
        using var model = nn.Linear(4, 3);
        using var optimizer = new Muon(model);
        optimizer.Distribute(world);
        try
        {
            optimizer.Distribute(world, shardState: true);
            Check("a refusal", false);
        }
        catch (NotSupportedException) { }
        using var newton = new NewtonCg(model.parameters());
        newton.Distribute(world);
        try
        {
            using var loss = newton.step(() => model.call(ones(1, 4)).sum());
            Check("a closure is refused", false);
        }
        catch (NotSupportedException) { }
    }
}
