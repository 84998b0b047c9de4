using System.Diagnostics;
using System.Text.Json;
using Amari.Curvature;
using Amari.Solvers;
using Amari.Spectrum;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>One method on vectors of one length.</summary>
/// <param name="Method">What runs.</param>
/// <param name="Parameters">d.</param>
/// <param name="Products">Products with single vectors in a run.</param>
/// <param name="Product">Milliseconds of a product of one vector with the Hessian of 512 examples; median.</param>
/// <param name="Outside">Milliseconds outside products, for each product; median.</param>
/// <param name="Least">The least of the rounds.</param>
/// <param name="Most">The most.</param>
internal sealed record SpectrumCase(string Method, long Parameters, int Products, double Product, double Outside, double Least, double Most)
{
    /// <summary>The share of a run's time that is outside products.</summary>
    public double Share => Outside / (Outside + Product);
}

/// <summary>What Lanczos, quadrature, traces and conjugate gradient cost beside products: in one process, in turns, medians.</summary>
/// <remarks>The methods run with the Gauss-Newton matrix of few examples, whose products cost little and are subtracted; the product of 512
/// examples is measured in the same rounds. With it, all methods would take an hour at ten million parameters.</remarks>
internal static class SpectrumCost
{
    private const int Vectors = 100,
        SketchProducts = 60,
        Examples = 512,
        FewExamples = 32;
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    private static readonly (string Name, Action<LinearOperator, Tensor> Run)[] Methods =
    [
        (
            $"Lanczos, {Vectors} vectors",
            (c, _) =>
                Lanczos
                    .Run(
                        c,
                        new()
                        {
                            Count = Vectors * 2 / 5,
                            BasisSize = Vectors - 1,
                            MaxProducts = Vectors * 6 / 5,
                            Tolerance = 1e-12,
                            Vectors = false,
                        }
                    )
                    .Dispose()
        ),
        (
            $"density, {Vectors} steps",
            (c, _) =>
                LanczosQuadrature.Run(
                    c,
                    new()
                    {
                        Probes = 1,
                        Steps = Vectors,
                        MemoryLimit = long.MaxValue,
                    }
                )
        ),
        (
            "density, not reorthogonalised",
            (c, _) =>
                LanczosQuadrature.Run(
                    c,
                    new()
                    {
                        Probes = 3,
                        Steps = Vectors / 3,
                        MemoryLimit = 0,
                    }
                )
        ),
        ("Hutchinson", (c, _) => Hutchinson.Trace(c, SketchProducts)),
        ("Hutch++", (c, _) => HutchPlusPlus.Trace(c, SketchProducts)),
        ("XTrace", (c, _) => XTrace.Trace(c, SketchProducts)),
        (
            "XDiag",
            (c, _) =>
            {
                var (value, error) = XDiag.Diagonal(c, SketchProducts);
                value.Dispose();
                error.Dispose();
            }
        ),
        (
            "conjugate gradient",
            (c, b) => ConjugateGradient.Solve(c.Damped(1e-3), b, new() { MaxIterations = SketchProducts, Tolerance = 1e-30 })
        ),
        (
            "conjugate gradient, 4 columns",
            (c, b) =>
            {
                using var four = b.unsqueeze(1).expand(-1, 4).contiguous();
                ConjugateGradient.Solve(c.Damped(1e-3), four, new() { MaxIterations = SketchProducts / 4, Tolerance = 1e-30 });
            }
        ),
        (
            "Steihaug",
            (c, b) => Steihaug.Solve(c.Damped(1e-3), b, 1e30, new() { MaxIterations = SketchProducts, Tolerance = 1e-30 }).Step.Dispose()
        ),
    ];

    /// <summary>Measures all cases, prints the table, and writes the file if one is named.</summary>
    public static void Run(int rounds, OutputTarget? target)
    {
        Console.WriteLine(
            FormattableString.Invariant($"{get_num_threads()} threads, medians of {rounds} rounds; ms for each product with one vector")
        );
        Console.WriteLine($"{"parameters", 11}  {"method", -30} {"product", 8} {"outside", 8} {"least", 8} {"most", 8} {"share", 6}");
        List<SpectrumCase> cases = [];
        manual_seed(0);
        foreach (
            var (create, likelihood, targets) in new (Func<nn.Module<Tensor, Tensor>>, Likelihood, Func<int, Tensor>)[]
            {
                (new Autoencoder().CreateModel, new Bernoulli(), n => rand(n, 784)),
                (Wide, new Categorical(), n => randint(0, 10, [n], dtype: ScalarType.Int64)),
            }
        )
        {
            using var scope = NewDisposeScope();
            using var model = create();
            foreach (var c in Measure(Of(Examples), Of(FewExamples), rounds))
            {
                cases.Add(c);
                Console.WriteLine(
                    FormattableString.Invariant(
                        $"{c.Parameters, 11:N0}  {c.Method, -30} {c.Product, 8:F1} {c.Outside, 8:F1} {c.Least, 8:F1} {c.Most, 8:F1} "
                    ) + FormattableString.Invariant($"{c.Share, 6:P0}")
                );
            }

            Objective Of(int count) => new(model, likelihood, [(rand(count, 784), targets(count))]);
        }
        target?.Write(JsonSerializer.Serialize(new { threads = get_num_threads(), cases }, Json));
    }

    /// <summary>784-2048-2048-2048-10, 10 million parameters.</summary>
    private static nn.Module<Tensor, Tensor> Wide() =>
        nn.Sequential(
            ("fc1", nn.Linear(784, 2048)),
            ("tanh1", nn.Tanh()),
            ("fc2", nn.Linear(2048, 2048)),
            ("tanh2", nn.Tanh()),
            ("fc3", nn.Linear(2048, 2048)),
            ("tanh3", nn.Tanh()),
            ("fc4", nn.Linear(2048, 10))
        );

    private static IEnumerable<SpectrumCase> Measure(Objective objective, Objective few, int rounds)
    {
        using var scope = NewDisposeScope();
        LinearOperator network = new Hessian(objective),
            small = new GaussNewton(few);
        var v = randn(network.Dimension);
        var cheap = new Timed(small);
        List<double> product = [];
        var outside = Methods.Select(_ => new List<double>()).ToArray();
        int[] counts = new int[Methods.Length];
        for (int round = -1; round < rounds; round++)
        {
            double network1 = Time(() => network.Apply(v).Dispose());
            if (round >= 0)
                product.Add(network1);
            for (int i = 0; i < Methods.Length; i++)
            {
                (cheap.Milliseconds, cheap.Count) = (0, 0);
                double whole = Time(() => Methods[i].Run(cheap, v));
                counts[i] = cheap.Count;
                if (round >= 0)
                    outside[i].Add((whole - cheap.Milliseconds) / cheap.Count);
            }
        }
        return Methods.Select(
            (m, i) =>
                new SpectrumCase(
                    m.Name,
                    network.Dimension,
                    counts[i],
                    Measurements.Median(product),
                    Measurements.Median(outside[i]),
                    outside[i].Min(),
                    outside[i].Max()
                )
        );
    }

    /// <summary>An operator that measures its products.</summary>
    private sealed class Timed(LinearOperator op) : LinearOperator
    {
        public double Milliseconds { get; set; }
        public int Count { get; set; }
        public override long Dimension => op.Dimension;
        public override ScalarType Type => op.Type;

        protected override Tensor Product(Tensor v)
        {
            long start = Stopwatch.GetTimestamp();
            var result = op.ApplyToRows(v.T).T; // dense columns, as every curvature gives them
            Count += (int)v.shape[1];
            Milliseconds += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            return result;
        }
    }

    private static double Time(Action run)
    {
        using var inner = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
