using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Amari.Curvature;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>The time of a gradient in ms, or of a product in gradients of the same round.</summary>
/// <param name="Median">Over the rounds.</param>
/// <param name="Lower">Their lower quartile.</param>
/// <param name="Upper">Their upper quartile.</param>
internal sealed record CurvatureTime(double Median, double Lower, double Upper);

/// <summary>One model's times: a gradient (forward and backward pass by plain TorchSharp), and how many gradients a product with a column
/// costs.</summary>
/// <param name="Name">The model.</param>
/// <param name="Parameters">How many.</param>
/// <param name="Batch">Examples.</param>
/// <param name="Gradient">In milliseconds.</param>
/// <param name="Hessian">A product on its own, as over data of many batches.</param>
/// <param name="GaussNewton">The same.</param>
/// <param name="EmpiricalFisher">The same.</param>
/// <param name="HessianInRun">In a run on one batch, after the first.</param>
/// <param name="GaussNewtonInRun">The same.</param>
/// <param name="EmpiricalFisherInRun">The same.</param>
/// <param name="HessianOfEight">Each of eight columns.</param>
/// <param name="GaussNewtonOfEight">The same.</param>
/// <param name="GraphBytes">What the run of the Hessian keeps.</param>
internal sealed record CurvatureCase(
    string Name,
    long Parameters,
    long Batch,
    CurvatureTime Gradient,
    CurvatureTime Hessian,
    CurvatureTime GaussNewton,
    CurvatureTime EmpiricalFisher,
    CurvatureTime HessianInRun,
    CurvatureTime GaussNewtonInRun,
    CurvatureTime EmpiricalFisherInRun,
    CurvatureTime HessianOfEight,
    CurvatureTime GaussNewtonOfEight,
    long GraphBytes
);

/// <summary>Measures curvature products against a gradient of the same batch: in one process, in turns, medians.</summary>
internal static class CurvatureCost
{
    private const int Columns = 8;
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    /// <summary>Measures all cases, prints the table, and writes the file if one is named.</summary>
    public static void Run(int rounds, OutputTarget? target)
    {
        Console.WriteLine(
            $"{get_num_threads()} threads, medians of {rounds} interleaved rounds; a gradient in ms, a product with a column in gradients"
        );
        Console.WriteLine($"{"", -12} {"", 9} {"single", 24} {"in a run", 24} {"of eight", 16} {"graph", 8}");
        Console.WriteLine(
            $"{"case", -12} {"gradient", 9} {"Hessian", 8} {"GGN", 7} {"Fisher", 7} {"Hessian", 8} {"GGN", 7} {"Fisher", 7} "
                + $"{"Hessian", 8} {"GGN", 7} {"MiB", 8}"
        );
        List<CurvatureCase> cases = [];
        manual_seed(0);
        foreach (
            var (name, workload, x, y) in new (string, Workload, Tensor, Tensor)[]
            {
                ("autoencoder", new Autoencoder(), rand(512, 784), rand(512, 784)),
                ("fashion-conv", new FashionConv(), rand(256, 1, 28, 28), randint(0, 10, [256], dtype: ScalarType.Int64)),
                ("digits-mlp", new DigitsMlp(), rand(128, 64), randint(0, 10, [128], dtype: ScalarType.Int64)),
            }
        )
        {
            using var model = workload.CreateModel();
            var c = Measure(name, model, workload.Likelihood, x, y, rounds);
            cases.Add(c);
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{c.Name, -12} {c.Gradient.Median, 9:F2} {c.Hessian.Median, 8:F2} {c.GaussNewton.Median, 7:F2} "
                        + $"{c.EmpiricalFisher.Median, 7:F2} {c.HessianInRun.Median, 8:F2} {c.GaussNewtonInRun.Median, 7:F2} "
                        + $"{c.EmpiricalFisherInRun.Median, 7:F2} {c.HessianOfEight.Median, 8:F2} {c.GaussNewtonOfEight.Median, 7:F2} "
                        + $"{c.GraphBytes / (double)(1 << 20), 8:F1}"
                )
            );
        }
        target?.Write(
            JsonSerializer.Serialize(
                new
                {
                    threads = get_num_threads(),
                    rounds,
                    cases,
                },
                Json
            )
        );
    }

    private static CurvatureCase Measure(
        string name,
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        Tensor x,
        Tensor y,
        int rounds
    )
    {
        using var scope = NewDisposeScope();
        var objective = new Objective(model, likelihood, [(x, y)]);
        CurvatureOperator[] single = Operators(),
            inRun = Operators();
        var runs = inRun.Select(op => op.BeginRun()).ToList();
        var v = randn(objective.Parameters.Dimension);
        var block = randn(objective.Parameters.Dimension, Columns);
        (Action Run, int Columns)[] work =
        [
            (Gradient, 1),
            .. single.Concat(inRun).Select(op => ((Action)(() => op.Apply(v)), 1)),
            (() => single[0].Apply(block), Columns),
            (() => single[1].Apply(block), Columns),
        ];
        var times = work.Select(_ => new List<double>()).ToArray();
        for (int round = -3; round < rounds; round++)
        for (int i = 0; i < work.Length; i++)
        {
            using var inner = NewDisposeScope();
            long start = Stopwatch.GetTimestamp();
            work[i].Run();
            if (round >= 0)
                times[i].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds / work[i].Columns);
        }
        long bytes = inRun[0].KeptBytes;
        runs.ForEach(run => run.Dispose());
        return new(
            name,
            objective.Parameters.Dimension,
            x.shape[0],
            Of(times[0]),
            At(1),
            At(2),
            At(3),
            At(4),
            At(5),
            At(6),
            At(7),
            At(8),
            bytes
        );

        CurvatureOperator[] Operators() =>
            [new Hessian(objective), new GaussNewton(objective), new Fisher(objective, FisherKind.Empirical)];

        CurvatureTime At(int i) => Of([.. times[i].Zip(times[0], (product, gradient) => product / gradient)]);

        static CurvatureTime Of(List<double> rounds) =>
            new(Measurements.Quantile(rounds, 0.5), Measurements.Quantile(rounds, 0.25), Measurements.Quantile(rounds, 0.75));

        void Gradient()
        {
            model.zero_grad();
            likelihood.Loss(model.call(x), y).backward();
        }
    }
}
