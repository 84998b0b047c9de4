using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>Trajectories of independent implementations, see Fixtures/optimizers/README.md: the torch lines in float64, the kernels in
/// float32.</summary>
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
        ["lion_lucidrains"] = (p, h) =>
            new Lion([
                new(
                    p,
                    new()
                    {
                        LearningRate = (double)h["lr"]!,
                        Beta1 = (double)h["betas"]![0]!,
                        Beta2 = (double)h["betas"]![1]!,
                        WeightDecay = (double)h["weight_decay"]!,
                    }
                ),
            ]),
        ["muon_keller_fp64"] = (p, h) =>
            new Muon([new(p, new() { LearningRate = (double)h["lr"]!, WeightDecay = (double)h["weight_decay"]! })]),
        ["torch_adafactor"] = (p, h) => new Adafactor([new(p, new() { LearningRate = (double)h["lr"]! })]),
        ["schedulefree_adamw"] = (p, h) =>
            new ScheduleFree([
                new(
                    p,
                    new()
                    {
                        LearningRate = (double)h["lr"]!,
                        Beta1 = (double)h["betas"]![0]!,
                        Beta2 = (double)h["betas"]![1]!,
                        WarmupSteps = (int)h["warmup_steps"]!,
                        WeightDecay = (double)h["weight_decay"]!,
                    }
                ),
            ]),
        ["sophia_g"] = (p, h) =>
            new Sophia([
                new(
                    p,
                    new()
                    {
                        LearningRate = (double)h["lr"]!,
                        Beta1 = (double)h["betas"]![0]!,
                        Beta2 = (double)h["betas"]![1]!,
                        Gamma = (double)h["rho"]!,
                        Epsilon = 1e-15,
                        WeightDecay = (double)h["weight_decay"]!,
                    }
                ),
            ]),
        ["soap_orig_fp64"] = (p, h) =>
            new Soap([new(p, new() { LearningRate = (double)h["lr"]!, RefreshInterval = (int)h["precondition_frequency"]! })]),
        ["meta_shampoo_root"] = (p, h) =>
            new Shampoo([
                new(
                    p,
                    new()
                    {
                        LearningRate = (double)h["lr"]!,
                        Beta1 = (double)h["betas"]![0]!,
                        Beta2 = (double)h["betas"]![1]!,
                        Epsilon = (double)h["epsilon"]!,
                        WeightDecay = (double)h["weight_decay"]!,
                        RefreshInterval = (int)h["precondition_frequency"]!,
                        Grafting = Grafting.None,
                    }
                ),
            ]),
    };

    public static TheoryData<string> Names => [.. Makers.Keys];

    private static Sgd MakeSgd(IEnumerable<(string, Parameter)> p, JsonNode h) =>
        new([
            new(
                p,
                new()
                {
                    LearningRate = (double)h["lr"]!,
                    Momentum = (double?)h["momentum"] ?? 0,
                    Nesterov = (bool?)h["nesterov"] ?? false,
                    WeightDecay = (double?)h["weight_decay"] ?? 0,
                }
            ),
        ]);

    private static Adam MakeAdam(IEnumerable<(string, Parameter)> p, JsonNode h) =>
        new([
            new(
                p,
                new()
                {
                    LearningRate = (double)h["lr"]!,
                    Beta1 = (double?)h["betas"]?[0] ?? 0.9,
                    Beta2 = (double?)h["betas"]?[1] ?? 0.999,
                    WeightDecay = (double?)h["weight_decay"] ?? 0,
                }
            ),
        ]);

    [Theory, MemberData(nameof(Names))]
    public void Torch_lines_follow_the_trace_in_float64(string name) =>
        Replay(name, ScalarType.Float64, name == "meta_shampoo_root" ? 1e-8 : 1e-12); // that source corrects its bias in float32

    [Theory, MemberData(nameof(Names))]
    public void Kernels_follow_the_trace_in_float32(string name)
    {
        if (name is "soap_orig_fp64" or "meta_shampoo_root")
            return; // roots of nearly singular factors: float64 only
        Replay(name, ScalarType.Float32, 5e-6);
    }

    /// <summary>pytorch_optimizer corrects m alone, outside the trust ratio: as a rate η / (1 - β₁ᵗ) with the decay η λ kept; it adds ε to
    /// the norm. Its clipping is not in the trace.</summary>
    [Fact]
    public void Lamb_follows_the_trace_in_float64() => Replay("po_Lamb", ScalarType.Float64, 1e-6);

    private static Lamb MakeLamb(IEnumerable<(string, Parameter)> p) =>
        new([
            new(
                p,
                new()
                {
                    DecoupledDecay = true,
                    BiasCorrection = false,
                    MaxWeightNorm = 10,
                }
            ),
        ]);

    private static void Replay(string name, ScalarType type, double tolerance)
    {
        var trace = Read(name);
        var parameters = trace["params0"]!.AsArray().Select(p => nn.Parameter(Shaped(ToTensor(p!, type)))).ToArray();
        var named = parameters.Select((p, i) => ($"p{i}", p));
        using var optimizer = name == "po_Lamb" ? MakeLamb(named) : Makers[name](named, trace["hyper"]!);
        Tensor Shaped(Tensor x) => name == "meta_shampoo_root" ? x.flatten() : x; // the source took every parameter as a vector
        // the source has a basis for each of a kernel's dimensions
        bool compared(int i) => name != "soap_orig_fp64" || parameters[i].dim() <= 2;
        for (int t = 0; t < 20; t++)
        {
            for (int i = 0; i < parameters.Length; i++)
                parameters[i].grad = Shaped(ToTensor(trace["grads"]![t]![i]!, type));
            if (optimizer is Lamb { Groups: [var group] })
            {
                double correction = 1 - Math.Pow(0.9, t + 1);
                group.Options = group.Options with { LearningRate = 0.01 / correction, WeightDecay = 0.02 * correction };
            }
            if (optimizer is Sophia sophia && trace["extra_per_step"]![t]?["hessian_update_grad"] is { } drawn)
                sophia.UpdateCurvature([.. drawn.AsArray().Select(g => ToTensor(g!, type).square().mul((double)trace["hyper"]!["bs"]!))]);
            optimizer.step();
            var expected = trace["params"]![t]!
                .AsArray()
                .Where((_, i) => compared(i))
                .SelectMany(p => p!["data"]!.AsArray().Select(x => (double)x!));
            foreach (var (e, a) in expected.Zip(Problem.Values(parameters.Where((_, i) => compared(i)))))
                Assert.True(Math.Abs(e - a) <= tolerance * Math.Max(1, Math.Abs(e)), $"step {t + 1}: {a:R}, expected {e:R}");
        }
    }

    internal static Tensor ToTensor(JsonNode array, ScalarType type) =>
        tensor(array["data"]!.AsArray().Select(x => (double)x!).ToArray(), [.. array["shape"]!.AsArray().Select(x => (long)x!)])
            .to_type(type);

    internal static JsonNode Read(string name, [CallerFilePath] string here = "")
    {
        var file = Path.Combine(Path.GetDirectoryName(here)!, "..", "Fixtures", "optimizers", $"{name}.json.gz");
        using var stream = new GZipStream(File.OpenRead(file), CompressionMode.Decompress);
        return JsonNode.Parse(stream)!;
    }
}
