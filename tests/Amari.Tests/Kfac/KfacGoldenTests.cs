using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Amari;

namespace Amari.Tests.Kfac;

/// <summary>Factors, preconditioned gradients and KL scale of an independent implementation: see Fixtures/kfac/README.md.</summary>
public sealed class KfacGoldenTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static JsonNode Trace([CallerFilePath] string here = "")
    {
        using var stream = new GZipStream(File.OpenRead(Path.Combine(Path.GetDirectoryName(here)!, "..", "Fixtures", "kfac", "kfac_mlp_eigen.json.gz")), CompressionMode.Decompress);
        return JsonNode.Parse(stream)!;
    }

    private static Tensor Read(JsonNode? node, ScalarType type = ScalarType.Float64) =>
        tensor(node!["data"]!.AsArray().Select(v => (double)v!).ToArray(), [.. node["shape"]!.AsArray().Select(v => (long)v!)]).to_type(type);

    [Fact]
    public void Raw_factors_of_every_step_agree()
    {
        var trace = Trace();
        var x = Read(trace["X"]);
        var y = Read(trace["Y"], ScalarType.Int64);
        double decay = (double)trace["hyper"]!["factor_decay"]!, batch = x.shape[0];
        var model = nn.Sequential(("0", nn.Linear(5, 7)), ("t", nn.Tanh()), ("1", nn.Linear(7, 4))).to(ScalarType.Float64);
        var start = trace["params0"]!;
        var (a, g) = (new Dictionary<string, Tensor>(), new Dictionary<string, Tensor>());
        foreach (var step in trace["steps"]!.AsArray())
        {
            using (no_grad())
                foreach (var (name, p) in model.named_parameters()) p.copy_(Read(start["l." + name]));
            // decay 0: the factors are the batch's own
            using var optimizer = new Amari.Kfac(model, new() { Fisher = FisherKind.Empirical, FactorDecay = 0, LearningRate = 0 });
            optimizer.zero_grad();
            nn.functional.cross_entropy(model.call(x), y).backward();
            foreach (var (name, p) in model.named_parameters())
                Assert.InRange(Dense.RelativeError(p.grad!, Read(step!["grads"]!["l." + name])), 0, 1e-12);
            optimizer.step();
            var ours = optimizer.Snapshot().Tensors;
            foreach (string layer in (string[])["0", "1"])
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

    [Fact]
    public void Preconditioned_gradient_and_KL_scale_agree()
    {
        var trace = Trace();
        var hyper = trace["hyper"]!;
        double damping = (double)hyper["damping"]!, clip = (double)hyper["kl_clip"]!, rate = (double)hyper["lr"]!;
        var steps = trace["steps"]!.AsArray();
        for (int t = 0; t < steps.Count; t += (int)hyper["inv_update_steps"]!)   // where the inverse is fresh
        {
            double product = 0;
            foreach (string layer in (string[])["l.0", "l.1"])
            {
                var grads = steps[t]!["grads"]!;
                var v = cat([Read(grads[layer + ".weight"]), Read(grads[layer + ".bias"]).unsqueeze(1)], 1);
                var (inverse, messages) = KroneckerInverse.Of(Read(steps[t]!["A"]![layer]), Read(steps[t]!["G"]![layer]), DampingMethod.Eigenbasis, damping, null);
                Assert.Empty(messages);
                var u = inverse.Apply(v, damping);
                Assert.InRange(Dense.RelativeError(u, Read(steps[t]!["precond"]![layer])), 0, 1e-10);
                product += (u * v).sum().ToDouble();
            }
            double scale = Math.Min(1, Math.Sqrt(clip / (rate * rate * product)));
            Assert.Equal((double)steps[t]!["kl_scale"]!, scale, 1e-10);
        }
    }
}
