using System.Diagnostics;
using System.Text.Json;
using Amari.Curvature;
using Amari.Optimizers;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>One case's medians.</summary>
/// <param name="Workload">What is trained.</param>
/// <param name="Batch">Examples of a step.</param>
/// <param name="Settings">Those of K-FAC.</param>
/// <param name="AdamW">Milliseconds of a whole step, forward and backward pass included.</param>
/// <param name="Kfac">The same of K-FAC, measurements and refreshes shared out over the steps between them.</param>
/// <param name="Ratio">Of the two, from samples that follow each other.</param>
/// <param name="LeastRatio">The lowest of these ratios.</param>
/// <param name="MostRatio">The highest.</param>
/// <param name="Plain">Milliseconds of a K-FAC step in which nothing is measured or refreshed.</param>
/// <param name="Measurement">Milliseconds that a measurement of the factors adds to a step; 0 if none comes without a refresh.</param>
/// <param name="Refresh">Milliseconds that a refresh of the inverses adds to a step.</param>
internal sealed record KfacCase(
    string Workload,
    int Batch,
    string Settings,
    double AdamW,
    double Kfac,
    double Ratio,
    double LeastRatio,
    double MostRatio,
    double Plain,
    double Measurement,
    double Refresh
);

/// <summary>What a training step of K-FAC costs beside one of AdamW: in one process, in turns, medians. A sample is as many steps as lie
/// between two refreshes of the inverses, over batches that differ: factors of one batch alone have no more rank than it has examples, and
/// cheaper inverses. K-FAC's time is the mean over the places in the interval of the medians over the samples.</summary>
internal static class KfacCost
{
    private const int Batches = 7; // prime to the intervals: factors are not always of the same one
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    /// <summary>Measures all, prints the table, and writes the file if one is named.</summary>
    public static void Run(int rounds, OutputTarget? target)
    {
        Dictionary<string, string> defaults = [],
            empirical = new() { ["Fisher"] = "Empirical" },
            exact = new() { ["Fisher"] = "Exact" };
        List<KfacCase> cases = [];
        Console.WriteLine(
            FormattableString.Invariant($"{get_num_threads()} threads, medians of {rounds} samples; ms of a whole training step, amortised")
        );
        Console.WriteLine(
            $"{"workload", -18} {"batch", 6}  {"K-FAC", -34} {"AdamW", 8} {"K-FAC", 8} {"ratio", 6} "
                + $"{"plain", 8} {"measure", 8} {"refresh", 8}"
        );
        foreach (
            var (name, batch, title, settings) in ((string, int, string, IReadOnlyDictionary<string, string>?)[])
                [
                    ("autoencoder", 512, "defaults", defaults),
                    ("autoencoder", 512, "defaults, empirical Fisher", empirical),
                    ("autoencoder", 512, "the workload's (quadratic model)", null),
                    ("autoencoder", 2048, "defaults", defaults),
                    ("fashion-conv", 256, "defaults", defaults),
                    ("fashion-conv", 256, "defaults, empirical Fisher", empirical),
                    ("fashion-conv", 256, "defaults, exact Fisher", exact),
                    ("fashion-conv", 256, "the workload's", null),
                    ("char-transformer", 32, "defaults", defaults),
                    ("char-transformer", 32, "the workload's", null),
                    ("digits-mlp", 128, "defaults", defaults),
                ]
        )
        {
            var c = Measure(WorkloadCatalog.Find(name, null), batch, title, settings, rounds);
            cases.Add(c);
            Console.WriteLine(
                FormattableString.Invariant(
                    $"{c.Workload, -18} {c.Batch, 6}  {c.Settings, -34} {c.AdamW, 8:F2} {c.Kfac, 8:F2} {c.Ratio, 6:F2} "
                ) + FormattableString.Invariant($"{c.Plain, 8:F2} {c.Measurement, 8:F2} {c.Refresh, 8:F2}")
            );
        }
        target?.Write(JsonSerializer.Serialize(new { threads = get_num_threads(), cases }, Json));
    }

    private static KfacCase Measure(Workload workload, int batch, string title, IReadOnlyDictionary<string, string>? settings, int rounds)
    {
        using var trainer = new Trainer(workload, null);
        var options = (Kfac.Options)(
            settings is null
                ? trainer.Options(new("kfac", new Dictionary<string, string>()))
                : Settings.Apply(typeof(Kfac.Options), [.. settings, KeyValuePair.Create("LearningRate", "1e-6")])
        );
        var refresh = options.Curvature.Refresh with { Warmup = null }; // the beginning is over
        options = options with { Curvature = options.Curvature with { Refresh = refresh } };
        using nn.Module<Tensor, Tensor> first = workload.CreateModel(),
            second = workload.CreateModel();
        using Optimizer adamw = new AdamW(first, new() { LearningRate = 1e-6 }),
            kfac = new Kfac(second, options, workload.Likelihood);
        using var scope = NewDisposeScope();
        var batches = Enumerable
            .Range(0, Batches)
            .Select(_ => randint(trainer.Data.Train.Count, [batch], dtype: ScalarType.Int64))
            .Select(rows => (trainer.Data.Train.Inputs.index_select(0, rows), trainer.Data.Train.Targets.index_select(0, rows)))
            .ToList();
        List<double[]> ofAdamW = [],
            ofKfac = [];
        for (int round = -1; round < rounds; round++)
        {
            double[] one = Sample(first, adamw),
                other = Sample(second, kfac);
            if (round < 0)
                continue;
            ofAdamW.Add(one);
            ofKfac.Add(other);
        }
        // what other processes take from some steps of a sample is in no median over the samples
        double[] places = [.. Enumerable.Range(0, refresh.InverseInterval).Select(i => Measurements.Median(ofKfac.Select(s => s[i])))];
        double plain = Measurements.Median(places.Where((_, i) => i % refresh.FactorInterval > 0)),
            adamW = Measurements.Median(ofAdamW.SelectMany(s => s));
        double[] measured = [.. places.Where((_, i) => i > 0 && i % refresh.FactorInterval == 0)]; // a refresh comes with a measurement
        double measurement = measured.Length == 0 ? 0 : measured.Average() - plain;
        var ratios = ofAdamW.Zip(ofKfac, (a, k) => k.Average() / a.Average());
        return new(
            workload.Name,
            batch,
            title,
            adamW,
            places.Average(),
            places.Average() / adamW,
            ratios.Min(),
            ratios.Max(),
            plain,
            measurement,
            places[0] - plain - measurement
        );

        double[] Sample(nn.Module<Tensor, Tensor> model, Optimizer optimizer)
        {
            double[] steps = new double[refresh.InverseInterval];
            for (int i = 0; i < steps.Length; i++)
            {
                long start = Stopwatch.GetTimestamp();
                using (NewDisposeScope())
                    Step(batches[i % Batches]);
                steps[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
            return steps;

            void Step((Tensor X, Tensor Y) batch)
            {
                if (optimizer is Kfac { EvaluatesLoss: true } whole)
                {
                    whole.StepOnBatch(batch.X, batch.Y);
                    return;
                }
                optimizer.zero_grad();
                workload.Likelihood.Loss(model.call(batch.X), batch.Y).backward();
                optimizer.step();
            }
        }
    }
}
