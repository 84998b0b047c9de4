using Amari.Curvature;
using Amari.Optimizers;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Training on long after a model has fitted its data.</summary>
[Collection(nameof(Processes))]
public sealed class KfacFittedTests
{
    /// <summary>Settings that destroyed the model on all of twenty seeds by step 5,000, before steps were bounded.</summary>
    private static readonly Kfac.Options Risky = new()
    {
        LearningRate = 0.05,
        Damping = 10,
        Step = new AutoStep { KlClip = 1.3e-3, Momentum = 0.9 },
        Curvature = new()
        {
            DampingScale = DampingScale.MeanEigenvalue,
            FactorEma = 0.85,
            Refresh = new()
            {
                FactorInterval = 5,
                InverseInterval = 20,
                Warmup = null,
            },
        },
    };

    public static TheoryData<string> LongRuns => ["defaults", "ekfac", "risky", "quadratic"];

    /// <summary>With some seeds, each case in a process of its own, because that takes long.</summary>
    [Theory, MemberData(nameof(LongRuns))]
    public async Task A_fitted_model_stays_fitted_when_trained_further(string name)
    {
        if (Processes.Alone is null)
            await Processes.RunAlone(typeof(KfacFittedTests), name);
        else if (Processes.Alone == name)
            foreach (int seed in name == "quadratic" ? [0, 1, 2, 3] : (int[])[0, 1])
                Train(name, seed);
    }

    private static void Train(string name, int seed)
    {
        const int Batch = 128;
        int steps = name == "quadratic" ? 2000 : 5000; // which take three times as long
        set_num_threads(1);
        var workload = WorkloadCatalog.Find("digits-mlp", null);
        using var data = workload.Load(null);
        manual_seed(seed);
        using var model = workload.CreateModel();
        using var optimizer = name is "risky" or "quadratic"
            ? new Kfac(model, name == "risky" ? Risky : new() { Step = new QuadraticStep() }, new Categorical())
            : (Kfac)
                OptimizerCatalog
                    .Find(name == "ekfac" ? "ekfac" : "kfac")
                    .Create(
                        model,
                        Settings.Apply(typeof(Kfac.Options), OptimizerCatalog.Find(name == "ekfac" ? "ekfac" : "kfac").Preset ?? []),
                        new Categorical()
                    );
        var (x, y) = (data.Train.Inputs, data.Train.Targets);
        double best = double.PositiveInfinity,
            last = double.NaN,
            worst = 0;
        for (int step = 1; step <= steps; step++)
        {
            using var scope = NewDisposeScope();
            var rows = randint(0, x.shape[0], [Batch]);
            optimizer.zero_grad();
            nn.functional.cross_entropy(model.call(x.index_select(0, rows)), y.index_select(0, rows)).backward();
            optimizer.step();
            if (step % 50 != 0)
                continue;
            using var off = no_grad();
            last = nn.functional.cross_entropy(model.call(x), y).ToDouble();
            best = Math.Min(best, last);
            if (step > steps / 2)
                worst = Math.Max(worst, last);
        }
        Assert.True(best is >= 0 and <= 1e-4, $"seed {seed}: best {best}");
        Assert.True(last >= 0 && last <= Math.Max(10 * best, 1e-6), $"seed {seed}: last {last}, best {best}");
        Assert.True(worst <= 1e-3, $"seed {seed}: worst {worst}");
    }
}
