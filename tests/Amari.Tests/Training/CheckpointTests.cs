using Amari.Native;
using Amari.Training;

namespace Amari.Tests.Training;

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
        Save(directory, 1_000_000_000);   // one digit more than the padding

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
            folder.Names());
    }

    [Fact]
    public void Only_complete_ones_count_and_what_a_killed_run_left_is_cleaned_up()
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
        Assert.Equal(4, folder.Names().Length);   // loading changes nothing

        Save(second, 4);
        Assert.Equal(["step-000000002.safetensors", "step-000000003.safetensors", "step-000000004.safetensors"], folder.Names());
        Save(new CheckpointDirectory(folder.Path, keep: 1), 1);   // even behind newer ones, what was just saved stays
        Assert.Equal(["step-000000001.safetensors", "step-000000004.safetensors"], folder.Names());
    }

    [Fact]
    public void Every_truncation_is_refused_and_the_previous_one_loads() =>
        Damage(bytes => Enumerable.Range(0, bytes.Length).Select(length => bytes[..length]));

    [Fact]
    public void Every_flipped_bit_is_refused_and_the_previous_one_loads() =>
        Damage(bytes => Enumerable.Range(0, bytes.Length * 8).Select(bit =>
        {
            var flipped = (byte[])bytes.Clone();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            return flipped;
        }));

    [Fact]
    public void Bytes_behind_the_end_are_refused_and_the_previous_one_loads() =>
        Damage(bytes => [[.. bytes, 0], [.. bytes, .. bytes]]);

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
                Save(writer, step % 2 == 0 ? step : step - 1, size: 20_000);   // new files and replaced ones
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
        }
        while (!writing.IsCompleted);
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
            using (no_grad()) model.weight.zero_();
            using var checkpoint = Checkpoint.Open(path);
            checkpoint.CopyTo(model);
            Assert.Equal([2, 2, 2], model.weight.Elements<float>());
            using var wider = new Sequence(4);
            Assert.Contains("'weight' of shape [3]", Assert.Throws<InvalidDataException>(() => checkpoint.CopyTo(wider)).Message, StringComparison.Ordinal);
            using var other = nn.Sequential(("fc", nn.Linear(1, 1)));
            Assert.Contains("no 'fc.", Assert.Throws<InvalidDataException>(() => checkpoint.CopyTo(other)).Message, StringComparison.Ordinal);
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

        public Sequence(int size) : base(nameof(Sequence))
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
}
