using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Amari.Curvature;
using Amari.Solvers;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>One model's medians: milliseconds of a gradient (forward and backward pass by plain TorchSharp), and how many gradients a
/// product costs; with eight columns, how many each.</summary>
internal sealed record CurvatureCase(
    string Name,
    long Parameters,
    long Batch,
    double GradientMilliseconds,
    double Hessian,
    double GaussNewton,
    double EmpiricalFisher,
    double HessianOfEight,
    double GaussNewtonOfEight
);

/// <summary>Measures curvature products against a gradient of the same batch: in one process, in turns, medians.</summary>
internal static class CurvatureCost
{
    private const int Columns = 8;
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    /// <summary>Measures all cases, prints the table, and writes the file if one is named.</summary>
    public static void Run(int rounds, OutputTarget? target)
    {
        Console.WriteLine($"{get_num_threads()} threads, medians of {rounds} rounds; a gradient in ms, products in gradients");
        Console.WriteLine(
            $"{"case", -12} {"gradient", 9} {"Hessian", 8} {"target", 7} {"GGN", 6} {"target", 7} {"emp. Fisher", 12} {"Hessian of 8", 13} "
                + $"{"GGN of 8", 9}"
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
                    $"{c.Name, -12} {c.GradientMilliseconds, 9:F2} {c.Hessian, 8:F2} {3, 7} {c.GaussNewton, 6:F2} {4, 7} "
                        + $"{c.EmpiricalFisher, 12:F2} {c.HessianOfEight, 13:F2} {c.GaussNewtonOfEight, 9:F2}"
                )
            );
        }
        target?.Write(JsonSerializer.Serialize(new { cases }, Json));
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
        LinearOperator hessian = new Hessian(objective),
            gaussNewton = new GaussNewton(objective),
            empirical = new Fisher(objective, FisherKind.Empirical);
        var v = randn(objective.Parameters.Dimension);
        var block = randn(objective.Parameters.Dimension, Columns);
        (Action Run, int Columns)[] work =
        [
            (Gradient, 1),
            (() => hessian.Apply(v), 1),
            (() => gaussNewton.Apply(v), 1),
            (() => empirical.Apply(v), 1),
            (() => hessian.Apply(block), Columns),
            (() => gaussNewton.Apply(block), Columns),
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
        double gradient = Measurements.Median(times[0]);
        double At(int i) => Measurements.Median(times[i]) / gradient;
        return new(name, objective.Parameters.Dimension, x.shape[0], gradient, At(1), At(2), At(3), At(4), At(5));

        void Gradient()
        {
            model.zero_grad();
            likelihood.Loss(model.call(x), y).backward();
        }
    }
}
