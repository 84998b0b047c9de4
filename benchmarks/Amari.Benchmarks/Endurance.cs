using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Amari.Distributed;
using Amari.Optimizers;
using Amari.Serialization;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>What becomes of a model that is trained on, long after it has converged, by every optimizer at its defaults and over many
/// seeds: with clean batches, and with one in a hundred corrupted.</summary>
/// <remarks>A run is a file of its own in the folder, written when it is over: a benchmark that is stopped goes on where it was, and
/// several processes divide the work (<c>--part 1/2</c>).
/// Workloads' settings are not read. A corrupted batch has a NaN in one example, or one example multiplied by 10,000, or all inputs
/// equal.</remarks>
internal static class Endurance
{
    private const double CorruptShare = 0.01,
        Large = 1e4;
    private const double Reached = 1e-2; // a loss at which a run has kept what it reached
    private const int Evaluations = 100; // of a run, evenly spaced
    private const long InnerIterationSteps = 300; // of methods that iterate within a step
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>Runs what is not in the folder yet, then prints a table of all that is.</summary>
    /// <param name="workloads">Names.</param>
    /// <param name="optimizers">Names.</param>
    /// <param name="seeds">0 to this.</param>
    /// <param name="steps">Of each run.</param>
    /// <param name="corrupted">Whether batches are corrupted.</param>
    /// <param name="part">Which runs are this process's: every n-th from k on.</param>
    /// <param name="folder">Of results.</param>
    /// <param name="file">For the results of all runs in the folder as JSON; null for none.</param>
    public static void Run(
        IReadOnlyList<Workload> workloads,
        IReadOnlyList<OptimizerEntry> optimizers,
        int seeds,
        long steps,
        bool corrupted,
        (int K, int N) part,
        string folder,
        string? file
    )
    {
        set_num_threads(1);
        Directory.CreateDirectory(folder);
        int number = 0;
        foreach (var workload in workloads)
        {
            using var data = workload.Load(null);
            for (int seed = 0; seed < seeds; seed++)
                foreach (var optimizer in optimizers)
                {
                    if (number++ % part.N != part.K - 1)
                        continue;
                    string name = $"{workload.Name}.{optimizer.Name}.{(corrupted ? "corrupted" : "clean")}";
                    string result = Path.Combine(folder, FormattableString.Invariant($"{name}.{seed:D3}.json"));
                    if (File.Exists(result))
                        continue;
                    long length = optimizer.EvaluatesLoss ? Math.Min(steps, InnerIterationSteps) : steps;
                    var outcome = Train(workload, data, optimizer, seed, length, corrupted);
                    AtomicFile.Write(result, stream => JsonSerializer.Serialize(stream, outcome, Json));
                    Console.WriteLine($"{name} {outcome}");
                }
        }
        EnduranceRun[] all =
        [
            .. Directory
                .GetFiles(folder, "*.json")
                .Order()
                .Select(f => JsonSerializer.Deserialize<EnduranceRun>(File.ReadAllText(f), Json)!),
        ];
        Print(all);
        if (file is not null)
            AtomicFile.Write(file, stream => JsonSerializer.Serialize(stream, new { runs = all }, Json));
    }

    private static EnduranceRun Train(Workload workload, WorkloadData data, OptimizerEntry entry, int seed, long steps, bool corrupted)
    {
        long begun = Stopwatch.GetTimestamp();
        manual_seed(seed);
        using var model = workload.CreateModel();
        using var optimizer = entry.Create(model, Settings.Apply(entry.OptionsType, entry.Preset ?? []), workload.Likelihood);
        var batches = new Distributed.ShardedBatches(data.Train.Count, workload.BatchSize, seed, dropLast: true);
        var random = new Random(seed);
        List<LossPoint> losses = [new(0, 0, Loss(workload, model, data.Train))];
        string? failure = null;
        long step = 0;
        try
        {
            for (; step < steps; )
            {
                using var scope = NewDisposeScope();
                using var rows = tensor(batches.Rows(step).ToArray(), dtype: ScalarType.Int64);
                var (x, y) = (data.Train.Inputs.index_select(0, rows), data.Train.Targets.index_select(0, rows));
                if (corrupted && random.NextDouble() < CorruptShare)
                    Corrupt(x, random);
                Step(workload, model, optimizer, x, y);
                if (++step % Math.Max(1, steps / Evaluations) == 0)
                    losses.Add(new(step, 0, Loss(workload, model, data.Train, optimizer)));
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            failure = $"{e.GetType().Name}: {e.Message.Split('\n')[0]}";
        }
        if (losses[^1].Step != step)
            losses.Add(new(step, 0, Loss(workload, model, data.Train, optimizer)));
        var best = losses.Where(l => double.IsFinite(l.Loss)).OrderBy(l => l.Loss).FirstOrDefault(new LossPoint(0, 0, double.NaN));
        double end = losses[^1].Loss,
            worst = losses.Where(l => l.Step >= best.Step).Max(l => l.Loss);
        double metric = Mean(model, data.Test ?? data.Train, workload.Metric.Sum, f => f.shape[0], optimizer);
        bool apart = failure is not null || !double.IsFinite(end) || Stability.CameApart(losses, end <= Reached);
        long cut = optimizer.Events.Where(e => e.Message.Contains("the step was cut", StringComparison.Ordinal)).Sum(e => Times(e.Message));
        return new(
            workload.Name,
            entry.Name,
            seed,
            corrupted,
            step,
            losses[0].Loss,
            best.Loss,
            best.Step,
            worst,
            end,
            metric,
            optimizer.SkippedSteps,
            cut,
            apart,
            failure,
            Stopwatch.GetElapsedTime(begun).TotalSeconds
        );
    }

    private static long Times(string message) =>
        Regex.Match(message, @"\((\d+) times") is { Success: true } m ? long.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture) : 1;

    private static void Corrupt(Tensor x, Random random)
    {
        using var scope = NewDisposeScope();
        int kind = random.Next(x.is_floating_point() ? 3 : 1),
            row = random.Next((int)x.shape[0]);
        if (kind == 0 || !x.is_floating_point())
            x.copy_(x[row].unsqueeze(0).expand_as(x).clone());
        else if (kind == 1)
            x[row].mul_(Large);
        else
            x[row].flatten()[0] = float.NaN;
    }

    /// <summary>One step of any optimizer.</summary>
    public static void Step(Workload workload, nn.Module<Tensor, Tensor> model, Optimizer optimizer, Tensor x, Tensor y)
    {
        if (optimizer is SecondOrderOptimizer secondOrder)
            secondOrder.StepOnBatch(x, y);
        else if (optimizer is Kfac { EvaluatesLoss: true } kfac)
            kfac.StepOnBatch(x, y);
        else
        {
            optimizer.Train();
            optimizer.UpdateCurvature(x, y);
            optimizer.zero_grad();
            workload.Likelihood.Loss(model.call(x), y).backward();
            optimizer.step();
        }
    }

    private static double Loss(Workload workload, nn.Module<Tensor, Tensor> model, Dataset set, Optimizer? optimizer = null) =>
        Mean(model, set, (f, y) => workload.Likelihood.SumNegativeLogLikelihood(f, y), f => workload.Likelihood.Terms(f), optimizer);

    private static double Mean(
        nn.Module<Tensor, Tensor> model,
        Dataset set,
        Func<Tensor, Tensor, Tensor> sum,
        Func<Tensor, long> count,
        Optimizer? optimizer
    )
    {
        using var off = no_grad();
        optimizer?.Eval();
        model.eval();
        double total = 0,
            terms = 0;
        foreach (var (x, y) in set.Batches(1000))
        {
            using var scope = NewDisposeScope();
            var f = model.call(x);
            total += sum(f, y).to_type(ScalarType.Float64).ToDouble();
            terms += count(f);
        }
        model.train();
        return total / terms;
    }

    private static void Print(IReadOnlyList<EnduranceRun> all)
    {
        Console.WriteLine();
        Console.WriteLine(
            "| workload | optimizer | batches | runs x steps | came apart | best loss, median | largest after it | end, median | end, "
                + "worst "
                + "| metric, median (least) | skipped | cut |"
        );
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (var g in all.GroupBy(o => (o.Workload, o.Optimizer, o.Corrupted)).OrderBy(g => g.Key))
        {
            double Median(Func<EnduranceRun, double> of) => Measurements.Median(g.Select(of));
            string batches = g.Key.Corrupted ? "1 % corrupted" : "clean";
            string runs = FormattableString.Invariant($"{g.Count()} x {g.Max(o => o.Steps)} | {g.Count(o => o.CameApart)}");
            string losses = FormattableString.Invariant(
                $"{Median(o => o.Best):G2} | {g.Max(o => o.Worst):G2} | {Median(o => o.End):G2} | {g.Max(o => o.End):G2}"
            );
            string rest = FormattableString.Invariant(
                $"{Median(o => o.Metric):F3} ({g.Min(o => o.Metric):F3}) | {g.Sum(o => o.Skipped)} | {g.Sum(o => o.Cut)}"
            );
            Console.WriteLine($"| {g.Key.Workload} | {g.Key.Optimizer} | {batches} | {runs} | {losses} | {rest} |");
        }
    }
}
