using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Amari.Optimizers;
using Amari.Ranks;
using Amari.Serialization;
using Amari.Training;

namespace Amari.Tests.Contracts;

/// <summary>States of every optimizer of the catalogue on a tiny network, as version 0.1 saved them before options and values had been
/// added: <c>Fixtures/checkpoints/0.1.safetensors</c>. Written by <c>OlderStateTests.Write_the_fixture</c>.</summary>
internal static class OlderState
{
    public const int Before = 4,
        After = 3; // steps

    public static string File => Path.Combine(Folder, "0.1.safetensors");

    public static string Folder => Path.Combine(Path.GetDirectoryName(Here())!, "..", "Fixtures", "checkpoints");

    private static string Here([CallerFilePath] string path = "") => path;

    /// <summary>The network, its weights of sines: the same on every machine.</summary>
    public static nn.Module<Tensor, Tensor> Model()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
        using var off = no_grad();
        foreach (var (i, p) in model.parameters().Index())
            p.copy_(Sines(p.shape, 0.7 + i) * 0.5);
        return model;
    }

    public static Optimizer Make(string name, nn.Module<Tensor, Tensor> model) =>
        OptimizerCatalog.Find(name) is var entry
            ? entry.Create(model, Settings.Apply(entry.OptionsType, entry.Preset ?? []), LabelSquares.For(name))
            : null!;

    /// <summary>Step number <paramref name="step"/> on its own batch.</summary>
    public static void Step(Optimizer optimizer, nn.Module<Tensor, Tensor> model, int step, ScalarType type = ScalarType.Float32)
    {
        using var scope = NewDisposeScope();
        var (x, y) = (Sines([8, 4], 1.3 + step).to_type(type), arange(8).add_(step).remainder_(3));
        if (optimizer is SecondOrderOptimizer second)
        {
            second.StepOnBatch(x, y);
            return;
        }
        if (optimizer is Kfac { Group.Options.EvaluatesLoss: true } kfac)
        {
            kfac.StepOnBatch(x, y);
            return;
        }
        optimizer.Train();
        optimizer.UpdateCurvature(x, y);
        optimizer.zero_grad();
        nn.functional.cross_entropy(model.call(x), y).backward();
        optimizer.step();
    }

    private static Tensor Sines(long[] shape, double start) =>
        arange(shape.Aggregate(1L, (n, d) => n * d), dtype: ScalarType.Float64)
            .mul_(1.7)
            .add_(start)
            .sin_()
            .reshape(shape)
            .to_type(ScalarType.Float32);

    /// <summary>The catalogue's names in the fixture.</summary>
    public static IEnumerable<string> Names(Safetensors file) => file.Metadata.Keys.Order(StringComparer.Ordinal);

    /// <summary>The state of one optimizer, its own copy of the values.</summary>
    public static OptimizerSnapshot Snapshot(Safetensors file, string name) =>
        new(Part(file, $"{name}/state/"), JsonNode.Parse(file.Metadata[name])!.AsObject());

    /// <summary>The weights when the state was saved, or some steps later.</summary>
    public static IReadOnlyDictionary<string, Tensor> Weights(Safetensors file, string name, bool later) =>
        Part(file, $"{name}/{(later ? "later" : "saved")}/");

    private static Dictionary<string, Tensor> Part(Safetensors file, string prefix) =>
        file.Tensors.Where(t => t.Key.StartsWith(prefix, StringComparison.Ordinal)).ToDictionary(t => t.Key[prefix.Length..], t => t.Value);

    /// <summary>Writes the fixture by the code of the day.</summary>
    public static void Write(string path)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        var metadata = new Dictionary<string, string>();
        foreach (var entry in OptimizerCatalog.All)
        {
            using var model = Model();
            using var optimizer = Make(entry.Name, model);
            for (int step = 0; step < Before; step++)
                Step(optimizer, model, step);
            var (state, values) = optimizer.Snapshot();
            foreach (var (name, tensor) in state)
                tensors[$"{entry.Name}/state/{name}"] = tensor.clone();
            metadata[entry.Name] = values.ToJsonString();
            Keep("saved");
            for (int step = Before; step < Before + After; step++)
                Step(optimizer, model, step);
            Keep("later");

            void Keep(string when)
            {
                foreach (var (name, p) in model.named_parameters())
                    tensors[$"{entry.Name}/{when}/{name}"] = p.detach().clone();
            }
        }
        Safetensors.Save(path, tensors, metadata);
    }
}
