using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Kronecker;
using Amari.Solvers;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Factors, preconditioned gradients and KL scale of an independent implementation: see Fixtures/kfac/README.md.</summary>
public sealed class KfacGoldenTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static JsonNode Trace(string name, [CallerFilePath] string here = "")
    {
        using var stream = new GZipStream(
            File.OpenRead(Path.Combine(Path.GetDirectoryName(here)!, "..", "Fixtures", "kfac", $"kfac_mlp_{name}.json.gz")),
            CompressionMode.Decompress
        );
        return JsonNode.Parse(stream)!;
    }

    private static Tensor Read(JsonNode? node, ScalarType type = ScalarType.Float64) =>
        tensor(node!["data"]!.AsArray().Select(v => (double)v!).ToArray(), [.. node["shape"]!.AsArray().Select(v => (long)v!)])
            .to_type(type);

    private static Sequential Net() =>
        nn.Sequential(("0", nn.Linear(5, 7)), ("t", nn.Tanh()), ("1", nn.Linear(7, 4))).to(ScalarType.Float64);

    private static void Set(Sequential model, JsonNode values)
    {
        using var off = no_grad();
        foreach (var (name, p) in model.named_parameters())
            p.copy_(Read(values["l." + name]));
    }

    private static void Backward(Sequential model, Kfac optimizer, JsonNode trace)
    {
        optimizer.zero_grad();
        nn.functional.cross_entropy(model.call(Read(trace["X"])), Read(trace["Y"], ScalarType.Int64)).backward();
    }

    /// <summary>V = [∂W ∂b] of a layer.</summary>
    private static Tensor Gradient(JsonNode grads, string layer) =>
        cat([Read(grads[$"l.{layer}.weight"]), Read(grads[$"l.{layer}.bias"]).unsqueeze(1)], 1);

    private static readonly string[] Layers = ["0", "1"];

    [Theory, InlineData("eigen"), InlineData("inverse")]
    public void Raw_factors_of_every_step_agree(string name)
    {
        var trace = Trace(name);
        double decay = (double)trace["hyper"]!["factor_decay"]!,
            batch = Read(trace["X"]).shape[0];
        var model = Net();
        var start = trace["params0"]!;
        var (a, g) = (new Dictionary<string, Tensor>(), new Dictionary<string, Tensor>());
        foreach (var step in trace["steps"]!.AsArray())
        {
            Set(model, start);
            // decay 0: the factors are the batch's own
            using var optimizer = new Kfac(
                model,
                new()
                {
                    LearningRate = 0,
                    Curvature = new() { Fisher = new FisherOptions.Empirical(), FactorEma = 0 },
                }
            );
            Backward(model, optimizer, trace);
            foreach (var (parameter, p) in model.named_parameters())
                Assert.InRange(Dense.RelativeError(p.grad!, Read(step!["grads"]!["l." + parameter])), 0, 1e-12);
            optimizer.step();
            var ours = optimizer.Snapshot().Tensors;
            foreach (string layer in Layers)
            {
                Compare(a, layer, Read(step!["A"]!["l." + layer]), ours[$"{layer}.A"], 1);
                Compare(g, layer, Read(step!["G"]!["l." + layer]), ours[$"{layer}.G"], batch * batch);
            }
            start = step!["params"]!;
        }

        // F_t = decay F_{t-1} + (1 - decay) new, F_0 = I
        void Compare(Dictionary<string, Tensor> running, string layer, Tensor now, Tensor actual, double scale)
        {
            var before = running.GetValueOrDefault(layer) ?? eye(now.shape[0], dtype: ScalarType.Float64);
            Assert.InRange(Dense.RelativeError(actual, (now - decay * before) / (1 - decay) * scale), 0, 1e-10);
            running[layer] = now;
        }
    }

    /// <summary>The inverse that their factors of a step have by their damping.</summary>
    private static BlockInverse Inverse(string name, JsonNode step, string layer, double damping)
    {
        var (a, g) = (Read(step["A"]!["l." + layer]), Read(step["G"]!["l." + layer]));
        if (name == "eigen")
        {
            var (inverse, messages) = EigenbasisInverse.Of(a, g, null);
            Assert.Empty(messages);
            return inverse;
        }
        // (G + d I)⁻¹ V (A + d I)⁻¹, where ours has √λ/π and π√λ in the place of d
        return new FactoredInverse(Damped(g), Damped(a));

        DenseFactor Damped(Tensor factor)
        {
            var (inverse, outcome, _) = new FactorInverter().Invert(
                factor + damping * eye(factor.shape[0], dtype: ScalarType.Float64),
                null
            );
            Assert.Equal(FactorisationOutcome.Clean, outcome);
            return new(inverse!);
        }
    }

    [Theory, InlineData("eigen"), InlineData("inverse")]
    public void Preconditioned_gradient_and_KL_scale_agree(string name)
    {
        var trace = Trace(name);
        var hyper = trace["hyper"]!;
        double damping = (double)hyper["damping"]!,
            clip = (double)hyper["kl_clip"]!,
            rate = (double)hyper["lr"]!;
        var steps = trace["steps"]!.AsArray();
        for (int t = 0; t < steps.Count; t += (int)hyper["inv_update_steps"]!) // where the inverse is fresh
        {
            double product = 0;
            foreach (string layer in Layers)
            {
                var v = Gradient(steps[t]!["grads"]!, layer);
                var u = Inverse(name, steps[t]!, layer, damping).Apply(v, damping);
                Assert.InRange(Dense.RelativeError(u, Read(steps[t]!["precond"]!["l." + layer])), 0, 1e-10);
                product += (u * v).sum().ToDouble();
            }
            double scale = Math.Min(1, Math.Sqrt(clip / (rate * rate * product)));
            Assert.Equal((double)steps[t]!["kl_scale"]!, scale, 1e-10);
        }
    }

    /// <summary>The optimizer itself over all steps. Begun with factors of I that have had enough updates, our mean decays as theirs; as
    /// our G is B² times theirs, so is the damping, U is 1/B² of theirs, and η makes up for it.</summary>
    [Fact]
    public void Optimizer_goes_their_way_in_the_eigenbasis()
    {
        var trace = Trace("eigen");
        var hyper = trace["hyper"]!;
        double squares = Math.Pow(Read(trace["X"]).shape[0], 2);
        var (model, options) = (
            Net(),
            new Kfac.Options
            {
                Damping = squares * (double)hyper["damping"]!,
                LearningRate = squares * (double)hyper["lr"]!,
                Step = new AutoStep { KlClip = squares * (double)hyper["kl_clip"]!, Momentum = (double)hyper["momentum"]! },
                Curvature = new()
                {
                    Fisher = new FisherOptions.Empirical(),
                    Inverse = new InverseOptions.Eigenbasis(),
                    FactorEma = (double)hyper["factor_decay"]!,
                    Refresh = new()
                    {
                        FactorInterval = (int)hyper["factor_update_steps"]!,
                        InverseInterval = (int)hyper["inv_update_steps"]!,
                        Warmup = null,
                    },
                },
            }
        );
        using var optimizer = new Kfac(model, options);
        var (tensors, values) = optimizer.Snapshot();
        var begun = tensors.ToDictionary();
        foreach (string layer in Layers)
        {
            begun[$"{layer}.A"] = eye(Read(trace["steps"]![0]!["A"]!["l." + layer]).shape[0], dtype: ScalarType.Float64);
            begun[$"{layer}.G"] = squares * eye(Read(trace["steps"]![0]!["G"]!["l." + layer]).shape[0], dtype: ScalarType.Float64);
            values["blocks"]![layer] = 1000L;
        }
        optimizer.Restore(new(begun, values));
        Follow(model, optimizer, trace, (_, _) => { });
    }

    /// <summary>With their inverses, made by us, in the place of ours: momentum, the KL clip and the stale inverse of every second
    /// step.</summary>
    [Fact]
    public void Optimizer_goes_their_way_with_their_damping_of_each_factor()
    {
        var trace = Trace("inverse");
        var hyper = trace["hyper"]!;
        var model = Net();
        using var optimizer = new Kfac(
            model,
            new()
            {
                LearningRate = (double)hyper["lr"]!,
                Step = new AutoStep { KlClip = (double)hyper["kl_clip"]!, Momentum = (double)hyper["momentum"]! },
                Curvature = new()
                {
                    Fisher = new FisherOptions.Empirical(),
                    Refresh = new()
                    {
                        FactorInterval = 1000,
                        InverseInterval = 1000,
                        Warmup = null,
                    },
                },
            }
        );
        Follow(
            model,
            optimizer,
            trace,
            (t, step) =>
            {
                if (t % (int)hyper["inv_update_steps"]! != 0)
                    return;
                var (tensors, values) = optimizer.Snapshot();
                var given = tensors.ToDictionary();
                values["step"] = t + 1L; // not the first, when ours would be made
                foreach (string layer in Layers)
                {
                    var inverse = Inverse("inverse", step, layer, (double)hyper["damping"]!);
                    (given[$"{layer}.A"], given[$"{layer}.G"]) = (Read(step["A"]!["l." + layer]), Read(step["G"]!["l." + layer]));
                    foreach (var (name, tensor) in inverse.Tensors())
                        given[$"{layer}.{name}"] = tensor;
                }
                optimizer.Restore(new(given, values));
            }
        );
    }

    private static void Follow(Sequential model, Kfac optimizer, JsonNode trace, Action<int, JsonNode> before)
    {
        Set(model, trace["params0"]!);
        foreach (var (t, step) in trace["steps"]!.AsArray().Index())
        {
            before(t, step!);
            Backward(model, optimizer, trace);
            optimizer.step();
            Assert.Equal((double)step!["kl_scale"]!, optimizer.KlScale, 1e-10);
            foreach (var (name, p) in model.named_parameters())
                Assert.InRange(Dense.RelativeError(p.detach(), Read(step["params"]!["l." + name])), 0, 1e-9);
        }
    }
}
