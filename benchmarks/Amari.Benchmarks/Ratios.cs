using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Amari.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>One case's medians, in nanoseconds per parameter; the names are those of the result file. What the guard against gradients that
/// are not finite costs
/// is a ratio of times, the median over pairs of steps that follow one another: as it is, and where all gradients are read before the
/// step.</summary>
internal sealed record RatioCase(
    string Name,
    double AmariAdamW,
    double TorchSharpAdamW,
    double LibtorchFusedAdamW,
    double RooflineAdamW,
    double AmariLion,
    double RooflineLion,
    double AdamWBFloat16,
    double AdamWBlocks8,
    double LionBFloat16,
    double LionBlocks8,
    double AdamWGuard,
    double LionGuard,
    double AdamWExactGuard,
    double LionExactGuard
);

/// <summary>Measures the fused steps against TorchSharp's, libtorch's own and a plain loop: all in one process, in turns,
/// medians.</summary>
internal static class Ratios
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    /// <summary>Measures all cases, prints the table, and writes the file if one is named.</summary>
    public static void Run(int rounds, OutputTarget? target)
    {
        Console.WriteLine($"{get_num_threads()} threads, medians of {rounds} rounds, ns per parameter");
        Console.WriteLine($"{"case", -10} {"AdamW", 8} {"roofline", 9} {"libtorch", 9} {"TorchSharp", 11} {"Lion", 8} {"roofline", 9}");
        List<RatioCase> cases = [];
        foreach (var (name, shapes) in Shapes.Cases)
        {
            using var scope = NewDisposeScope();
            var c = Measure(name, shapes, rounds);
            cases.Add(c);
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{c.Name, -10} {c.AmariAdamW, 8:F3} {c.RooflineAdamW, 9:F3} {c.LibtorchFusedAdamW, 9:F3} {c.TorchSharpAdamW, 11:F2} "
                        + $"{c.AmariLion, 8:F3} {c.RooflineLion, 9:F3}"
                )
            );
        }
        Console.WriteLine("moments in fewer bits, against full ones (ratio of times)");
        foreach (var c in cases)
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{c.Name, -10} AdamW bfloat16 {c.AdamWBFloat16 / c.AmariAdamW, 5:F2}   8 bits {c.AdamWBlocks8 / c.AmariAdamW, 5:F2}   "
                        + $"Lion bfloat16 {c.LionBFloat16 / c.AmariLion, 5:F2}   8 bits {c.LionBlocks8 / c.AmariLion, 5:F2}"
                )
            );
        Console.WriteLine("the guard against gradients that are not finite, against a step without it (ratio of times)");
        foreach (var c in cases)
        {
            Console.Write(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{c.Name, -10} AdamW {c.AdamWGuard, 6:F3}, if exact {c.AdamWExactGuard, 6:F3}   "
                )
            );
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Lion {c.LionGuard, 6:F3}, if exact {c.LionExactGuard, 6:F3}"));
        }
        foreach (var c in cases)
            Judge(c);
        target?.Write(JsonSerializer.Serialize(new { cases }, Json));
    }

    private static void Judge(RatioCase c)
    {
        void Line(string what, double value, double target) =>
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{c.Name, -10} {what, -42} {value, 8:F2}   target {target, 6:F2}   {(value >= target ? "reached" : "missed")}"
                )
            );
        Line(
            "TorchSharp / AdamW",
            c.TorchSharpAdamW / c.AmariAdamW,
            c.Name switch
            {
                "large" => 50,
                "small400" => 100,
                _ => 50,
            }
        );
        Line("libtorch fused / AdamW", c.LibtorchFusedAdamW / c.AmariAdamW, c.Name == "small400" ? 15 : 1);
        Line("roofline / AdamW", c.RooflineAdamW / c.AmariAdamW, 0.9);
        Line("roofline / Lion", c.RooflineLion / c.AmariLion, 0.9);
        Line("AdamW without the guard / with it", 1 / c.AdamWGuard, 1 / 1.05);
        Line("Lion without the guard / with it", 1 / c.LionGuard, 1 / 1.05);
        if (c.Name == "large")
            Line("AdamW / Lion", c.AmariAdamW / c.AmariLion, 1.4);
    }

    private static RatioCase Measure(string name, long[][] shapes, int rounds)
    {
        Parameter[] parameters = [.. shapes.Select(s => nn.Parameter(randn(s)))];
        foreach (var p in parameters)
            p.grad = randn(p.shape).mul_(1e-3);
        using var adamW = new Amari.AdamW([ParameterGroup.Of(parameters, new Amari.AdamW.Options())]);
        using var lion = new Lion([ParameterGroup.Of(parameters, new Lion.Options())]);
        using var unguardedAdamW = new Amari.AdamW([ParameterGroup.Of(parameters, new Amari.AdamW.Options())]) { Guarded = false };
        using var unguardedLion = new Lion([ParameterGroup.Of(parameters, new Lion.Options())]) { Guarded = false };
        using var exactAdamW = new Amari.AdamW([ParameterGroup.Of(parameters, new Amari.AdamW.Options())]) { Exact = true };
        using var exactLion = new Lion([ParameterGroup.Of(parameters, new Lion.Options())]) { Exact = true };
        using var torchSharp = optim.AdamW(parameters);
        StateFormat[] formats = [StateFormat.BFloat16, StateFormat.BlockwiseInt8];
        Optimizer[] small =
        [
            .. formats.Select(f => new Amari.AdamW([ParameterGroup.Of(parameters, new Amari.AdamW.Options { StateFormat = f })])),
            .. formats.Select(f => new Lion([ParameterGroup.Of(parameters, new Lion.Options { StateFormat = f })])),
        ];
        var fused = new LibTorchFused(parameters);
        Roofline two = new(parameters, twoStates: true),
            one = new(parameters, twoStates: false);

        long elements = parameters.Sum(p => p.NumberOfElements);
        int repeats = (int)Math.Max(1, 8_000_000 / elements); // small cases: once to warm the caches, then a few in a row
        const int Small = 5,
            Guards = Small + 4;
        Optimizer[] others = [.. small, unguardedAdamW, adamW, exactAdamW, unguardedLion, lion, exactLion];
        Action[] steps =
        [
            () => adamW.step(),
            fused.Run,
            two.Run,
            () => lion.step(),
            one.Run,
            .. others.Select(o => (Action)(() => o.step())),
            () => torchSharp.step(),
        ];
        WarmUp(steps[..^1], elements);
        var times = steps.Select(_ => new List<double>()).ToArray();
        for (int round = -2; round < rounds; round++)
        for (int i = 0; i < steps.Length; i++)
        {
            bool isSlow = i == steps.Length - 1; // half a second each: a few are enough
            if (isSlow && round % 5 != 0)
                continue;
            if (!isSlow)
                steps[i]();
            int count = isSlow ? 1 : repeats;
            long start = Stopwatch.GetTimestamp();
            for (int k = 0; k < count; k++)
                steps[i]();
            if (round >= 0)
                times[i].Add(Stopwatch.GetElapsedTime(start).TotalNanoseconds / count / elements);
        }
        double At(int i) => Measurements.Median(times[i]);
        double Cost(int with, int without) => Measurements.Median(times[with].Zip(times[without], (a, b) => a / b));
        foreach (var o in small)
            o.Dispose();
        return new(
            name,
            At(0),
            At(steps.Length - 1),
            At(1),
            At(2),
            At(3),
            At(4),
            At(Small),
            At(Small + 1),
            At(Small + 2),
            At(Small + 3),
            Cost(Guards + 1, Guards),
            Cost(Guards + 4, Guards + 3),
            Cost(Guards + 2, Guards),
            Cost(Guards + 5, Guards + 3)
        );
    }

    /// <summary>Until .NET has compiled the steps for good, as in any training run: it counts calls, and waits for a quiet tenth of a
    /// second.</summary>
    private static void WarmUp(Action[] steps, long elements)
    {
        for (int pause = 0; pause < 3; pause++)
        {
            foreach (var step in steps)
                for (long calls = Math.Clamp(40_000_000 / elements, 1, 60); calls > 0; calls--)
                    step();
            Thread.Sleep(300);
        }
    }
}
