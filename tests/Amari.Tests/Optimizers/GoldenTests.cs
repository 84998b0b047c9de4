using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;

namespace Amari.Tests.Optimizers;

/// <summary>Trajectories of independent implementations, see Fixtures/optimizers/README.md: the torch lines in float64, the kernels in float32.</summary>
public sealed class GoldenTests
{
    private delegate Optimizer Maker(IEnumerable<(string, Parameter)> parameters, JsonNode hyper);

    private static readonly Dictionary<string, Maker> Makers = new()
    {
        ["torch_sgd"] = MakeSgd,
        ["torch_sgd_momentum"] = MakeSgd,
        ["torch_sgd_nesterov_wd"] = MakeSgd,
        ["torch_adam"] = MakeAdam,
        ["torch_adam_l2"] = MakeAdam,
        ["torch_adamw"] = (p, h) => new AdamW([new(p, new() { LearningRate = (double)h["lr"]! })]),
        ["lion_lucidrains"] = (p, h) => new Lion([new(p, new()
        {
            LearningRate = (double)h["lr"]!,
            Beta1 = (double)h["betas"]![0]!,
            Beta2 = (double)h["betas"]![1]!,
            WeightDecay = (double)h["weight_decay"]!,
        })]),
    };

    public static TheoryData<string> Names => [.. Makers.Keys];

    private static Sgd MakeSgd(IEnumerable<(string, Parameter)> p, JsonNode h) => new([new(p, new()
    {
        LearningRate = (double)h["lr"]!,
        Momentum = (double?)h["momentum"] ?? 0,
        Nesterov = (bool?)h["nesterov"] ?? false,
        WeightDecay = (double?)h["weight_decay"] ?? 0,
    })]);

    private static Adam MakeAdam(IEnumerable<(string, Parameter)> p, JsonNode h) => new([new(p, new()
    {
        LearningRate = (double)h["lr"]!,
        Beta1 = (double?)h["betas"]?[0] ?? 0.9,
        Beta2 = (double?)h["betas"]?[1] ?? 0.999,
        WeightDecay = (double?)h["weight_decay"] ?? 0,
    })]);

    [Theory, MemberData(nameof(Names))]
    public void Torch_lines_follow_the_trace_in_float64(string name) => Replay(name, ScalarType.Float64, 1e-12);

    [Theory, MemberData(nameof(Names))]
    public void Kernels_follow_the_trace_in_float32(string name) => Replay(name, ScalarType.Float32, 2e-6);

    private static void Replay(string name, ScalarType type, double tolerance)
    {
        var trace = Read(name);
        var parameters = trace["params0"]!.AsArray().Select(p => nn.Parameter(ToTensor(p!, type))).ToArray();
        using var optimizer = Makers[name](parameters.Select((p, i) => ($"p{i}", p)), trace["hyper"]!);
        for (int t = 0; t < 20; t++)
        {
            for (int i = 0; i < parameters.Length; i++) parameters[i].grad = ToTensor(trace["grads"]![t]![i]!, type);
            optimizer.step();
            var expected = trace["params"]![t]!.AsArray().SelectMany(p => p!["data"]!.AsArray().Select(x => (double)x!));
            foreach (var (e, a) in expected.Zip(Problem.Values(parameters)))
                Assert.True(Math.Abs(e - a) <= tolerance * Math.Max(1, Math.Abs(e)), $"step {t + 1}: {a:R}, expected {e:R}");
        }
    }

    private static Tensor ToTensor(JsonNode array, ScalarType type) =>
        tensor(array["data"]!.AsArray().Select(x => (double)x!).ToArray(), [.. array["shape"]!.AsArray().Select(x => (long)x!)]).to_type(type);

    private static JsonNode Read(string name, [CallerFilePath] string here = "")
    {
        var file = Path.Combine(Path.GetDirectoryName(here)!, "..", "Fixtures", "optimizers", $"{name}.json.gz");
        using var stream = new GZipStream(File.OpenRead(file), CompressionMode.Decompress);
        return JsonNode.Parse(stream)!;
    }
}
