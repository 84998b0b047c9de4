using System.Globalization;
using Amari.Curvature;
using Amari.Kronecker;
using static TorchSharp.torch;

namespace Amari.Tests.KfacOptimizer;

/// <summary>What a process keeps beside the model, against what the optimizer states. The process is one of its own: in that of the other
/// tests, what they left is freed at any time.</summary>
[Collection(nameof(Processes))]
public sealed class KfacMemoryTests
{
    /// <param name="method">How factors are inverted.</param>
    /// <param name="matrices">A, G and the momentum; and two inverses, or a few directions.</param>
    [Theory, InlineData(nameof(InverseOptions.Cholesky), 5), InlineData(nameof(InverseOptions.Nystrom), 3)]
    public async Task Memory_is_what_is_stated(string method, int matrices)
    {
        if (!OperatingSystem.IsLinux())
            return;
        if (Processes.Alone is null)
            await Processes.RunAlone(typeof(KfacMemoryTests), method);
        else if (Processes.Alone == method)
            Measure(method, matrices);
    }

    /// <summary>Large factors, for small blocks stay with the allocator.</summary>
    private static void Measure(string method, int matrices)
    {
        const int size = 2000;
        using var model = nn.Sequential(("a", nn.Linear(size, size)));
        using var x = randn(4, size);
        Kfac Make() =>
            new(
                model,
                new()
                {
                    LearningRate = 1e-6,
                    Curvature = new()
                    {
                        Fisher = new FisherOptions.Empirical(),
                        Inverse = InverseOptions.Of(Enum.Parse<InverseMethod>(method)),
                        Refresh = new() { InverseInterval = 2 },
                    },
                }
            );
        using (var first = Make())
            Train(first, 8); // gradients are the model's, and libraries keep room to work in, more of it at a low rank
        long before = Resident();
        using var optimizer = Make();
        Train(optimizer, 8); // low rank begins at the fourth refresh
        long kept = Resident() - before;
        Assert.InRange(optimizer.StateBytes, matrices * 4L * size * size, (matrices + 1) * 4L * size * size);
        Assert.InRange((double)kept / optimizer.StateBytes, 0.4, 1.3);

        void Train(Kfac kfac, int steps)
        {
            for (int i = 0; i < steps; i++)
            {
                kfac.zero_grad();
                using var scope = NewDisposeScope();
                model.call(x).square().mean().backward();
                kfac.step();
            }
        }
    }

    private static long Resident()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        _ = malloc_trim(0);
        string[] line = File.ReadAllLines("/proc/self/status")
            .First(l => l.StartsWith("RssAnon", StringComparison.Ordinal))
            .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return 1024 * long.Parse(line[1], CultureInfo.InvariantCulture);
    }

    [System.Runtime.InteropServices.DllImport("libc")]
    private static extern int malloc_trim(nuint pad);
}
