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
/// <param name="Product">Milliseconds of a Hessian product of the network with one vector; median.</param>
/// <param name="Outside">Milliseconds outside products, for each product; median.</param>
/// <param name="Least">The least of the rounds.</param>
/// <param name="Most">The most.</param>
internal sealed record SpectrumCase(string Method, long Parameters, int Products, double Product, double Outside, double Least, double Most)
{
    /// <summary>The share of a run's time that is outside products.</summary>
    public double Share => Outside / (Outside + Product);
}

/// <summary>What Lanczos, quadrature, traces and conjugate gradient cost beside their products: in one process, in turns, medians.</summary>
/// <remarks>The methods run with a diagonal matrix, whose products cost little and are subtracted; the network's product is measured in the
/// same rounds. A hundred products of each method would take an hour at ten million parameters.</remarks>
internal static class SpectrumCost
{
    private const int Vectors = 100,
        SketchProducts = 60,
        Chunk = 512; // examples of a batch
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    private static readonly (string Name, Action<LinearOperator, Tensor> Run)[] Methods0 =
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
            $"density, not reorthogonalised",
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

    private static readonly (string Name, Action<LinearOperator, Tensor> Run)[] Methods =
    [
        .. Methods0.Where(m => Environment.GetEnvironmentVariable("DEV_M") is not { } f || f.Split('|').Any(m.Name.StartsWith)),
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
            var (workload, batches) in new (Func<(nn.Module<Tensor, Tensor>, Likelihood, Tensor, Tensor)>, int)[]
            {
                (() => (new Autoencoder().CreateModel(), new Autoencoder().Likelihood, rand(Chunk, 784), rand(Chunk, 784)), 1),
                (() => (Wide(), new Categorical(), rand(Chunk, 784), randint(0, 10, [Chunk], dtype: ScalarType.Int64)), 2),
            }
        )
        {
            if (Environment.GetEnvironmentVariable("DEV_B") is { } e && e != batches.ToString())
                continue;
            using var scope = NewDisposeScope();
            var (model, likelihood, x, y) = workload();
            using (model)
                foreach (var c in Measure(new Hessian(new(model, likelihood, Enumerable.Repeat((x, y), batches))), rounds))
                {
                    cases.Add(c);
                    Console.WriteLine(
                        FormattableString.Invariant(
                            $"{c.Parameters, 11:N0}  {c.Method, -30} {c.Product, 8:F1} {c.Outside, 8:F1} {c.Least, 8:F1} {c.Most, 8:F1} "
                        ) + FormattableString.Invariant($"{c.Share, 6:P0}")
                    );
                }
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

    private static IEnumerable<SpectrumCase> Measure(LinearOperator network, int rounds)
    {
        using var scope = NewDisposeScope();
        var v = randn(network.Dimension);
        var diagonal = Spectrum(network.Dimension).unsqueeze(1);
        double inside = 0;
        int products = 0;
        var cheap = LinearOperator.FromFunction(
            network.Dimension,
            ScalarType.Float32,
            z =>
            {
                long start = Stopwatch.GetTimestamp();
                var result = diagonal.mul(z).contiguous(); // as a curvature's product is
                products += (int)z.shape[1];
                inside += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                return result;
            }
        );
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
                (inside, products) = (0, 0);
                double whole = Time(() => Methods[i].Run(cheap, v));
                counts[i] = products;
                if (round >= 0)
                    outside[i].Add((whole - inside) / products);
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

    /// <summary>Eigenvalues as networks have: few that are large, and a bulk that decays.</summary>
    private static Tensor Spectrum(long dimension)
    {
        using var scope = NewDisposeScope();
        var values = logspace(0, -6, dimension);
        values.narrow(0, 0, 20).copy_(linspace(60, 3, 20));
        return values.MoveToOuterDisposeScope();
    }

    private static double Time(Action run)
    {
        using var inner = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
