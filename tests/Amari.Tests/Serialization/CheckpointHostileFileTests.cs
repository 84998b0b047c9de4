using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Optimizers;
using Amari.Ranks;
using Amari.Serialization;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Serialization;

/// <summary>Files whose checksum is right and whose content is not what this program would write: one sentence, the checkpoint before it,
/// and no end of the process.</summary>
public sealed class CheckpointHostileFileTests : IDisposable
{
    private static readonly Dictionary<string, string> None = [];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>What a checkpoint's tensors and strings are changed to.</summary>
    private static readonly Dictionary<string, Action<Dictionary<string, Tensor>, Dictionary<string, string>>> Changes = new()
    {
        ["a random state that is too short"] = (t, _) => t["rng.torch"] = zeros(64, dtype: ScalarType.Byte),
        ["a random state of another type"] = (t, _) => t["rng.torch"] = t["rng.torch"].to_type(ScalarType.Float32),
        ["a random state of two dimensions"] = (t, _) => t["rng.torch"] = t["rng.torch"].view(1, -1),
        ["a random state of zeros"] = (t, _) => t["rng.torch"] = zeros_like(t["rng.torch"]),
        // 624 are left, the next is number 624
        ["a random state beyond its numbers"] = (t, _) => t["rng.torch"] = Put(t["rng.torch"], (8, 112), (9, 2), (16, 112), (17, 2)),
        ["no random state"] = (t, _) => t.Remove("rng.torch"),
        ["K-FAC's random state of zeros"] = (t, _) => t["optimizer.generator"] = zeros(5056, dtype: ScalarType.Byte),
        ["K-FAC's random state too short"] = (t, _) => t["optimizer.generator"] = zeros(8, dtype: ScalarType.Byte),
        ["factors of another type"] = (t, _) => t["optimizer.a.G"] = t["optimizer.a.G"].to_type(ScalarType.Int64),
        ["weights of another shape"] = (t, _) => t["model.a.weight"] = zeros(3, 3),
        ["no run"] = (_, m) => m.Remove("run"),
        ["a run that is null"] = (_, m) => m["run"] = "null",
        ["a run that is no JSON"] = (_, m) => m["run"] = "{",
        ["a run too deep"] = (_, m) => m["run"] = new string('[', 100_000),
        ["a step of 1e300"] = (_, m) => Set(m, "run", "step", "1e300"),
        ["a negative step"] = (_, m) => Set(m, "run", "step", "-1"),
        ["negative seconds"] = (_, m) => Set(m, "run", "seconds", "-1"),
        ["losses without numbers"] = (_, m) => Set(m, "run", "losses", "[[]]"),
        ["options that are a list"] = (_, m) => Set(m, "run", "options", "[]"),
        ["a best evaluation of strings"] = (_, m) => Set(m, "run", "best", "[\"x\"]"),
        ["an optimizer that is a number"] = (_, m) => m["optimizer"] = "1",
        ["an optimizer's options that are null"] = (_, m) => Set(m, "optimizer", "options", "null"),
        ["a fallback that is null"] = (_, m) =>
            m["optimizer"] = Regex.Replace(m["optimizer"], "\"Fallback\":\\{[^}]*\\}", "\"Fallback\":null"),
        ["a count of 1e300"] = (_, m) => Set(m, "optimizer", "clippedSteps", "1e300"),
        ["a negative size"] = (_, m) => m["optimizer"] = Regex.Replace(m["optimizer"], "\"FactorInterval\":\\d+", "\"FactorInterval\":-5"),
        ["an optimizer's step that is negative"] = (_, m) => Set(m, "optimizer", "step", "-1"),
        ["an optimizer's step beyond 2^53"] = (_, m) => Set(m, "optimizer", "step", "9007199254740993"),
        ["a step beyond 2^53"] = (_, m) => Set(m, "run", "step", "9007199254740993"),
        ["a negative count"] = (_, m) => Set(m, "optimizer", "skippedSteps", "-1"),
        ["a newer schema"] = (_, m) => Set(m, "optimizer", "schema", "99"),
        ["a schema that is a string"] = (_, m) => Set(m, "optimizer", "schema", "\"a\""),
        ["a negative schema"] = (_, m) => Set(m, "optimizer", "schema", "-1"),
        ["weights that are NaN"] = (t, _) => t["model.a.weight"] = full_like(t["model.a.weight"], double.NaN),
        ["factors that are infinite"] = (t, _) => t["optimizer.a.G"] = full_like(t["optimizer.a.G"], double.PositiveInfinity),
        ["factors of a negative diagonal"] = (t, _) => t["optimizer.a.G"] = t["optimizer.a.G"].abs().neg(),
        ["weights that the model has not"] = (t, _) => t["model.zzz"] = zeros(1),
        ["weights of integers"] = (t, _) => t["model.a.weight"] = t["model.a.weight"].to_type(ScalarType.Int64),
        ["an optimizer's step that is a string"] = (_, m) => Set(m, "optimizer", "step", "\"x\""),
    };

    public static TheoryData<string> Names => [.. Changes.Keys];

    private static Tensor Put(Tensor bytes, params (long At, byte Value)[] changes)
    {
        var changed = bytes.clone();
        foreach (var (at, value) in changes)
            changed[at] = value;
        return changed;
    }

    private static void Set(Dictionary<string, string> metadata, string entry, string key, string value)
    {
        var node = JsonNode.Parse(metadata[entry])!;
        node[key] = JsonNode.Parse(value);
        metadata[entry] = node.ToJsonString();
    }

    private static void Rewrite(string file, Action<Dictionary<string, Tensor>, Dictionary<string, string>> change)
    {
        using var scope = NewDisposeScope();
        using var read = Safetensors.Load(file);
        var (tensors, metadata) = (read.Tensors.ToDictionary(t => t.Key, t => t.Value.alias()), read.Metadata.ToDictionary());
        change(tensors, metadata);
        Safetensors.Save(file, tensors, metadata);
    }

    [Theory, MemberData(nameof(Names))]
    public void The_checkpoint_before_is_taken_and_without_one_the_run_is_refused(string change)
    {
        Train(1, resume: false);
        Train(2, resume: true);
        string[] files = [.. _folder.Names().Where(n => n.StartsWith("step-", StringComparison.Ordinal)).Select(_folder.File)];
        Assert.Equal(2, files.Length);
        Rewrite(files[1], Changes[change]);
        Assert.Equal(Expected.Value, Train(3, resume: true)); // goes on from the first

        foreach (string file in _folder.Names().Where(n => n.StartsWith("step-", StringComparison.Ordinal)).Select(_folder.File))
            Rewrite(file, Changes[change]);
        string message = Assert.Throws<InvalidDataException>(() => Train(4, resume: true)).Message;
        Assert.Contains("so the run cannot continue", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    /// <summary>The loss of an uninterrupted run.</summary>
    private static readonly Lazy<double> Expected = new(() =>
    {
        using var trainer = new Trainer(new Little(), null);
        return trainer.Train(new("kfac", None), 0, Budget.OfEpochs(3)).FinalLoss;
    });

    private double Train(int epochs, bool resume)
    {
        using var trainer = new Trainer(new Little(), null);
        var checkpoint = new CheckpointOptions(_folder.Path, resume, TimeSpan.FromHours(1));
        return trainer.Train(new("kfac", None), 0, Budget.OfEpochs(epochs), checkpoint: checkpoint).FinalLoss;
    }

    /// <summary>The state that an optimizer saves by itself.</summary>
    [
        Theory,
        InlineData("adam"),
        InlineData("lamb"),
        InlineData("adahessian"),
        InlineData("routed-kfac"),
        InlineData("newton-cg"),
        InlineData("lbfgs")
    ]
    public void A_state_of_nonsense_is_refused_when_it_is_loaded(string name)
    {
        using var model = new Little().CreateModel();
        using var optimizer = OptimizerCatalog
            .Find(name)
            .Create(model, Settings.Apply(OptimizerCatalog.Find(name).OptionsType, []), new Categorical());
        string file = _folder.File("state");
        optimizer.Save(file);
        string good;
        using (var saved = Safetensors.Load(file))
            good = saved.Metadata["optimizer"];
        foreach (string bad in (string[])["", "null", "[]", "1", "{}", "{", new string('[', 100_000), .. Lies(good)])
        {
            Rewrite(file, (_, m) => m["optimizer"] = bad);
            Assert.Throws<InvalidDataException>(() => optimizer.Load(file));
        }

        // every number and every object in turn
        static IEnumerable<string> Lies(string good) =>
            [
                .. Regex
                    .Matches(good, "\"(clippedSteps|skippedSteps)\":0")
                    .Select(m => good.Remove(m.Index, m.Length).Insert(m.Index, $"{m.Value[..^1]}1e300")),
                Regex.Replace(good, "\"options\":\\{[^{}]*\\}", "\"options\":null"),
                .. ((string[])["99", "\"a\"", "-1", "0", "1.5"]).Select(s => Regex.Replace(good, "\"schema\":\\d+", $"\"schema\":{s}")),
                .. ((string[])["-1", "9007199254740993"]).Select(c =>
                    Regex.Replace(good, "\"(clippedSteps|skippedSteps)\":0", $"\"$1\":{c}")
                ),
                Regex.Replace(good, "\"type\":\"\\w+\"", "\"type\":7"),
            ];
    }

    [Fact]
    public void What_is_wrong_with_a_state_is_named()
    {
        var p = nn.Parameter(ones(3));
        using var optimizer = new Adam([p]);
        p.sum().backward();
        optimizer.step();
        string file = _folder.File("state");
        Refused("'0.SecondMoment' has numbers that are infinite or NaN", (t, _) => t["0.SecondMoment"] = full(3, float.NaN));
        Refused("'0.SecondMoment' has the number -0.5; it must be 0 or more", (t, _) => t["0.SecondMoment"][1] = -0.5f);
        Refused("schema 99, this version of Amari reads the schemas 1 to 3", (_, m) => Set(m, "optimizer", "schema", "99"));
        Refused("schema is \"a\"", (_, m) => Set(m, "optimizer", "schema", "\"a\""));
        Refused("'0' is -3; it must be a whole number from 0 to 9007199254740992", (_, m) => Set(m, "optimizer", "steps", """{"0":-3}"""));

        void Refused(string why, Action<Dictionary<string, Tensor>, Dictionary<string, string>> change)
        {
            optimizer.Save(file);
            Rewrite(file, change);
            Assert.Contains(why, Assert.Throws<InvalidDataException>(() => optimizer.Load(file)).Message, StringComparison.Ordinal);
        }
    }

    /// <summary>Headers that other programs, or nobody, would write.</summary>
    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4611686018427387904]}}""")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""")]
    [InlineData("""{"a":{"dtype":"I8","shape":[9223372036854775807],"data_offsets":[1,-9223372036854775808]}}""")]
    [InlineData("""{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("""{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("""{"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1e3],"data_offsets":[0,4]}}""")]
    [InlineData("""{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}""")]
    [InlineData("""{"a":{"dtype":"F32","shape":{},"data_offsets":[0,4]}}""")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":null}}""")]
    [InlineData("""{"a":null}""")]
    [InlineData("""{"\ud800":{}}""")]
    [InlineData("""{"__metadata__":{"sha256":""}}""")]
    [InlineData("""{"__metadata__":{"sha256":1}}""")]
    [InlineData("""{"__metadata__":[]}""")]
    [InlineData("null")]
    [InlineData("")]
    public void A_header_of_nonsense_is_refused(string header)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        string file = _folder.File("a");
        foreach (ulong length in (ulong[])[(ulong)json.Length, 100_000_000, long.MaxValue, ulong.MaxValue])
        {
            File.WriteAllBytes(file, [.. BitConverter.GetBytes(length), .. json, .. new byte[4]]);
            Assert.Contains(file, Assert.Throws<InvalidDataException>(() => Safetensors.Load(file)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_deep_header_and_a_tensor_beyond_memory_are_refused()
    {
        string file = _folder.File("a");
        byte[] deep = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"a\":", 100_000)));
        File.WriteAllBytes(file, [.. BitConverter.GetBytes((ulong)deep.Length), .. deep]);
        Assert.Throws<InvalidDataException>(() => Safetensors.Load(file));

        const long Size = 1L << 43; // a sparse file takes no room
        if (Record.Exception(() => empty(Size, dtype: ScalarType.Int8).Dispose()) is null)
            return; // a system that promises any memory
        byte[] json = Encoding.UTF8.GetBytes($$$"""{"a":{"dtype":"I8","shape":[{{{Size}}}],"data_offsets":[0,{{{Size}}}]}}""");
        using (var sparse = new FileStream(file, FileMode.Create))
        {
            sparse.Write([.. BitConverter.GetBytes((ulong)json.Length), .. json]);
            sparse.SetLength(sparse.Length + Size);
        }
        Assert.Contains("memory", Assert.Throws<IOException>(() => Safetensors.Load(file)).Message, StringComparison.Ordinal);
    }

    private sealed class Little() : SmallWorkload("little", 8)
    {
        public override WorkloadData Load(string? directory)
        {
            using var generator = new Generator(3);
            return new(new(randn([24, 4], generator: generator), randint(0, 3, [24], generator: generator)), null);
        }

        public override nn.Module<Tensor, Tensor> CreateModel() =>
            nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
    }
}
