using Amari.Native;
using Amari.Ranks;
using Amari.Serialization;
using Amari.Tests.Training;
using Amari.Training;

namespace Amari.Tests.Serialization;

public sealed class CheckpointTests : IDisposable
{
    private static readonly Dictionary<string, string> Metadata = new() { ["run"] = """{"epoch": 3}""" };

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_missing_or_empty_directory_holds_none()
    {
        Assert.Null(new CheckpointDirectory(folder.File("none")).Load(out var refused));
        Assert.Empty(refused);
        Assert.Null(new CheckpointDirectory(folder.Path).Load(out refused));
        Assert.Empty(refused);
    }

    [Fact]
    public void The_newest_is_loaded_with_all_it_was_saved_with()
    {
        var directory = new CheckpointDirectory(folder.File("made/by/save"));
        Save(directory, 999_999_999);
        Save(directory, 1_000_000_000); // one digit more than the padding

        using var checkpoint = new CheckpointDirectory(folder.File("made/by/save")).Load(out var refused);

        Assert.NotNull(checkpoint);
        Assert.Empty(refused);
        Assert.Equal(1_000_000_000, checkpoint.Step);
        Assert.Equal(Metadata, checkpoint.Metadata);
        Assert.Equal(["model.weight", "rng.cpu"], checkpoint.Tensors.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(1e9f, checkpoint.Tensors["model.weight"].max().item<float>());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void As_many_as_asked_are_kept(int keep)
    {
        var directory = new CheckpointDirectory(folder.Path, keep);
        File.WriteAllText(folder.File("notes.txt"), "");
        File.WriteAllText(folder.File("step-best.safetensors"), "");
        for (var step = 8; step <= 12; step++)
            Assert.Equal(folder.File($"step-{step:D9}.safetensors"), Save(directory, step));
        Assert.Equal(
            ["notes.txt", .. Enumerable.Range(13 - keep, keep).Select(s => $"step-{s:D9}.safetensors"), "step-best.safetensors"],
            folder.Names()
        );
    }

    [Fact]
    public void Only_complete_checkpoints_count_and_leftovers_are_cleaned_up()
    {
        var first = new CheckpointDirectory(folder.Path);
        Save(first, 1);
        Save(first, 2);
        File.WriteAllText(folder.File("step-000000003.safetensors"), "damaged");
        File.WriteAllText(folder.File("step-000000004.safetensors.x1y2.tmp"), "half-written");

        var second = new CheckpointDirectory(folder.Path);
        using (var checkpoint = second.Load(out var refused))
        {
            Assert.Equal(2, checkpoint?.Step);
            Assert.Contains("step-000000003.safetensors", Assert.Single(refused), StringComparison.Ordinal);
        }
        Assert.Equal(4, folder.Names().Length); // loading changes nothing

        Save(second, 4);
        Assert.Equal(["step-000000002.safetensors", "step-000000003.safetensors", "step-000000004.safetensors"], folder.Names());
        Save(new CheckpointDirectory(folder.Path, keep: 1), 1); // even behind newer ones, what was just saved stays
        Assert.Equal(["step-000000001.safetensors", "step-000000004.safetensors"], folder.Names());
    }

    [Fact]
    public void Every_truncation_is_refused_and_the_previous_one_loads() =>
        Damage(bytes => Enumerable.Range(0, bytes.Length).Select(length => bytes[..length]));

    [Fact]
    public void Every_flipped_bit_is_refused_and_the_previous_one_loads() =>
        Damage(bytes =>
            Enumerable
                .Range(0, bytes.Length * 8)
                .Select(bit =>
                {
                    var flipped = (byte[])bytes.Clone();
                    flipped[bit / 8] ^= (byte)(1 << (bit % 8));
                    return flipped;
                })
        );

    [Fact]
    public void Bytes_behind_the_end_are_refused_and_the_previous_one_loads() =>
        Damage(bytes =>
            [
                [.. bytes, 0],
                [.. bytes, .. bytes],
            ]
        );

    [Fact]
    public void When_all_are_damaged_each_is_named()
    {
        var directory = new CheckpointDirectory(folder.Path);
        foreach (var step in new[] { 1, 2 })
            File.Create(Save(directory, step)).Dispose();
        Assert.Null(directory.Load(out var refused));
        Assert.Equal(2, refused.Count);
        Assert.Contains("000000002", refused[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_safetensors_file_without_checksum_or_step_is_no_checkpoint()
    {
        Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor>());
        Assert.Throws<InvalidDataException>(() => Checkpoint.Load(folder.File("a")));
        Assert.Throws<FileNotFoundException>(() => Checkpoint.Load(folder.File("b")));
    }

    [Fact]
    public void Bad_arguments_are_refused()
    {
        var directory = new CheckpointDirectory(folder.Path);
        var tensors = new Dictionary<string, Tensor>();
        Assert.Throws<ArgumentOutOfRangeException>(() => new CheckpointDirectory(folder.Path, keep: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => directory.Save(-1, tensors, Metadata));
        Assert.Throws<ArgumentException>(() => directory.Save(1, tensors, new Dictionary<string, string> { ["step"] = "1" }));
        Assert.Throws<ArgumentException>(() => directory.Save(1, tensors, new Dictionary<string, string> { ["sha256"] = "1" }));
        Assert.Empty(folder.Names());
    }

    [Fact]
    public async Task A_concurrent_reader_always_finds_a_whole_one()
    {
        var writer = new CheckpointDirectory(folder.Path, keep: 1);
        Save(writer, 0, size: 20_000);
        var writing = Task.Run(() =>
        {
            for (var step = 1; step <= 100; step++)
                Save(writer, step % 2 == 0 ? step : step - 1, size: 20_000); // new files and replaced ones
        });
        var reader = new CheckpointDirectory(folder.Path, keep: 1);
        var last = 0L;
        do
        {
            using var checkpoint = reader.Load(out var refused);
            Assert.Empty(refused);
            Assert.NotNull(checkpoint);
            Assert.InRange(checkpoint.Step, last, 100);
            last = checkpoint.Step;
            Assert.All(checkpoint.Tensors["model.weight"].Elements<float>(), w => Assert.Equal(last, w));
        } while (!writing.IsCompleted);
        await writing;
        Assert.Equal(["step-000000100.safetensors"], folder.Names());
    }

    [Fact]
    public void A_file_or_a_folder_gives_a_model_its_weights()
    {
        var directory = new CheckpointDirectory(folder.Path);
        Save(directory, 1);
        string newest = Save(directory, 2);
        using var model = new Sequence(3);
        foreach (string path in (string[])[newest, folder.Path])
        {
            using (no_grad())
                model.weight.zero_();
            using var checkpoint = Checkpoint.Open(path);
            checkpoint.CopyTo(model);
            Assert.Equal([2, 2, 2], model.weight.Elements<float>());
            using var wider = new Sequence(4);
            Assert.Contains(
                "'model.weight' [3] for [4]",
                Assert.Throws<InvalidDataException>(() => checkpoint.CopyTo(wider)).Message,
                StringComparison.Ordinal
            );
            using var other = nn.Sequential(("fc", nn.Linear(1, 1)));
            Assert.Contains(
                "lacks 'fc.weight' [1, 1]",
                Assert.Throws<InvalidDataException>(() => checkpoint.CopyTo(other)).Message,
                StringComparison.Ordinal
            );
        }
        Assert.Throws<FileNotFoundException>(() => Checkpoint.Open(folder.File("none")));
        Directory.CreateDirectory(folder.File("empty"));
        Assert.Throws<FileNotFoundException>(() => Checkpoint.Open(folder.File("empty")));
        File.WriteAllText(Path.Combine(folder.File("empty"), "step-000000001.safetensors"), "damaged");
        Assert.Throws<InvalidDataException>(() => Checkpoint.Open(folder.File("empty")));
    }

    private sealed class Sequence : nn.Module
    {
        public readonly Parameter weight;

        public Sequence(int size)
            : base(nameof(Sequence))
        {
            weight = nn.Parameter(zeros(size));
            RegisterComponents();
        }
    }

    private void Damage(Func<byte[], IEnumerable<byte[]>> damage)
    {
        var directory = new CheckpointDirectory(folder.Path);
        Save(directory, 1);
        var newest = Save(directory, 2);
        foreach (var bytes in damage(File.ReadAllBytes(newest)))
        {
            File.WriteAllBytes(newest, bytes);
            Assert.Throws<InvalidDataException>(() => Checkpoint.Load(newest));
            using var previous = directory.Load(out var refused);
            Assert.Equal(1, previous?.Step);
            Assert.Contains(newest, Assert.Single(refused), StringComparison.Ordinal);
        }
    }

    private static string Save(CheckpointDirectory directory, long step, long size = 3)
    {
        using var weight = full(size, step, dtype: ScalarType.Float32);
        using var rng = tensor(new byte[] { 1, 2, 3, 0x20, 0x7b });
        return directory.Save(step, new Dictionary<string, Tensor> { ["model.weight"] = weight, ["rng.cpu"] = rng }, Metadata);
    }

    /// <summary>As PyTorch's <c>state_dict()</c> is saved by safetensors: without checksum, step or metadata.</summary>
    [
        Theory,
        InlineData("", ScalarType.Float32),
        InlineData("model.", ScalarType.Float32),
        InlineData("", ScalarType.Float16),
        InlineData("model.", ScalarType.Float64)
    ]
    public void Plain_weights_of_others_are_read_with_or_without_a_prefix(string prefix, ScalarType type)
    {
        using var scope = NewDisposeScope();
        nn.Module<Tensor, Tensor> from = nn.Sequential(("fc", nn.Linear(3, 2)), ("norm", nn.BatchNorm1d(2))),
            to = nn.Sequential(("fc", nn.Linear(3, 2)), ("norm", nn.BatchNorm1d(2)));
        from.call(randn(8, 3));
        string file = folder.File("weights.safetensors");
        Plain(
            file,
            from.state_dict().ToDictionary(t => prefix + t.Key, t => t.Value.is_floating_point() ? t.Value.detach().to_type(type) : t.Value)
        );
        using var weights = Checkpoint.Open(file);
        Assert.True(weights.IsWeights);
        weights.CopyTo(to);
        foreach (var (name, tensor) in from.state_dict())
        {
            var expected = tensor.is_floating_point() ? tensor.detach().to_type(type).to_type(tensor.dtype) : tensor;
            Assert.True(expected.eq(to.state_dict()[name]).all().ToBoolean(), name);
        }
    }

    [Fact]
    public void Weights_of_another_model_are_refused_by_name_and_nothing_is_changed()
    {
        using var scope = NewDisposeScope();
        var model = nn.Sequential(("fc", nn.Linear(3, 2)), ("out", nn.Linear(2, 2)));
        var before = model.parameters().Select(p => p.detach().clone()).ToList();
        string file = folder.File("weights.safetensors");
        var tensors = model.state_dict().ToDictionary(t => t.Key, t => t.Value);
        tensors.Remove("out.bias");
        tensors["head.weight"] = zeros(4);
        tensors["fc.weight"] = zeros(2, 5);
        Plain(file, tensors);
        using var weights = Checkpoint.Open(file);
        string message = Assert.Throws<InvalidDataException>(() => weights.CopyTo(model)).Message;
        foreach (string part in (string[])["lacks 'out.bias' [2]", "'head.weight' [4]", "'fc.weight' [2, 5] for [2, 3]"])
            Assert.Contains(part, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
        Assert.All(before.Zip(model.parameters()), p => Assert.True(p.First.eq(p.Second).all().ToBoolean()));
    }

    /// <summary>A checkpoint that lost its checksum is no plain file of weights.</summary>
    [Fact]
    public void A_checkpoint_without_its_checksum_stays_refused()
    {
        string file = folder.File("step.safetensors");
        Plain(file, new() { ["model.weight"] = zeros(1) }, new() { ["step"] = "3", ["run"] = "{}" });
        Assert.Throws<InvalidDataException>(() => Checkpoint.Open(file));
    }

    /// <summary>Others count steps, too.</summary>
    [Fact]
    public void Plain_weights_may_say_a_step()
    {
        string file = folder.File("weights.safetensors");
        Plain(file, new() { ["weight"] = ones(3) }, new() { ["format"] = "pt", ["step"] = "100" });
        using var model = new Sequence(3);
        using var weights = Checkpoint.Open(file);
        Assert.True(weights.IsWeights);
        weights.CopyTo(model);
        Assert.Equal([1, 1, 1], model.weight.Elements<float>());
        Assert.Throws<InvalidDataException>(() => Checkpoint.Load(file));
    }

    [Fact]
    public void Integers_are_no_weights()
    {
        string file = folder.File("weights.safetensors");
        Plain(file, new() { ["weight"] = ones(3, dtype: ScalarType.Int64) });
        using var model = new Sequence(3);
        using var weights = Checkpoint.Open(file);
        Assert.Contains(
            "'weight' Int64 for Float32",
            Assert.Throws<InvalidDataException>(() => weights.CopyTo(model)).Message,
            StringComparison.Ordinal
        );
        Assert.Equal([0, 0, 0], model.weight.Elements<float>());
    }

    /// <summary>Writes the format by hand, as others do.</summary>
    internal static void Plain(string file, Dictionary<string, Tensor> tensors, Dictionary<string, string>? metadata = null)
    {
        var header = new System.Text.Json.Nodes.JsonObject();
        if (metadata is not null)
            header["__metadata__"] = System.Text.Json.JsonSerializer.SerializeToNode(metadata);
        var bytes = new List<byte>();
        foreach (var (name, tensor) in tensors)
        {
            string type = tensor.dtype switch
            {
                ScalarType.Float32 => "F32",
                ScalarType.Float64 => "F64",
                ScalarType.Float16 => "F16",
                _ => "I64",
            };
            int start = bytes.Count;
            using var dense = tensor.detach().contiguous();
            bytes.AddRange(dense.bytes.ToArray());
            header[name] = new System.Text.Json.Nodes.JsonObject
            {
                ["dtype"] = type,
                ["shape"] = new System.Text.Json.Nodes.JsonArray([.. tensor.shape.Select(d => (System.Text.Json.Nodes.JsonNode)d)]),
                ["data_offsets"] = new System.Text.Json.Nodes.JsonArray(start, bytes.Count),
            };
        }
        byte[] text = System.Text.Encoding.UTF8.GetBytes(header.ToJsonString());
        File.WriteAllBytes(file, [.. BitConverter.GetBytes((ulong)text.Length), .. text, .. bytes]);
    }
}
