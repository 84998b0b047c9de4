using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Amari.Tests.Training;

namespace Amari.Tests.Optimizers;

/// <summary>States that no fixture has, as pickles written by hand.</summary>
public sealed class PyTorchStateFaultTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Linear _layer = nn.Linear(2, 1, hasBias: false);

    public void Dispose()
    {
        _folder.Dispose();
        _layer.Dispose();
    }

    private static string Text(string text) => $"X{(char)text.Length}\0\0\0{text}";

    private static string Number(double number)
    {
        var bytes = new byte[sizeof(double)];
        BinaryPrimitives.WriteDoubleBigEndian(bytes, number);
        return "G" + Encoding.Latin1.GetString(bytes);
    }

    private static string Dictionary(params (string Name, string Value)[] entries) =>
        "}" + string.Concat(entries.Select(e => $"{Text(e.Name)}{e.Value}s"));

    /// <summary>The options of Adam, and others.</summary>
    private static string Group(params (string Name, string Value)[] others) =>
        Dictionary([
            ("lr", Number(0.25)),
            ("betas", Number(0.5) + Number(0.75) + "\x86"),
            ("eps", Number(0.125)),
            ("weight_decay", "K\0"),
            ("amsgrad", "\x89"),
            ("params", "]K\0a"),
            .. others,
        ]);

    private string Written(string group, string state = "}")
    {
        string path = _folder.File("state.pt");
        using var archive = new ZipArchive(File.Create(path), ZipArchiveMode.Create);
        using var stream = archive.CreateEntry("s/data.pkl", CompressionLevel.NoCompression).Open();
        stream.Write(Encoding.Latin1.GetBytes(Dictionary(("state", state), ("param_groups", $"]{group}a")) + "."));
        return path;
    }

    private void Refused(string expected, Optimizer optimizer, string group, string state = "}")
    {
        string path = Written(group, state);
        Assert.Equal($"The state from PyTorch {expected}.", Assert.Throws<InvalidDataException>(() => optimizer.Load(path)).Message);
    }

    [Fact]
    public void Options_are_read_and_unknown_ones_refused()
    {
        using var optimizer = new AdamW(_layer);
        optimizer.Load(Written(Group(("fused", "N"), ("decoupled_weight_decay", "\x88"))));
        var expected = new AdamW.Options
        {
            LearningRate = 0.25,
            Beta1 = 0.5,
            Beta2 = 0.75,
            Epsilon = 0.125,
            WeightDecay = 0,
        };
        Assert.Equal(expected, optimizer.Groups[0].Options);
        Refused("has the option 'swapped', which is not known here", optimizer, Group(("swapped", "\x88")));
        Refused("has no number 'lr' in group 0", optimizer, Group(("lr", "N")));
        Refused("has no number 'betas' in group 0", optimizer, Group(("betas", "]")));
    }

    [Fact]
    public void Decoupled_decay_distinguishes_AdamW_and_Adam()
    {
        using var adam = new Adam(_layer);
        adam.Load(Written(Group(("decoupled_weight_decay", "\x89"))));
        Refused("has decoupled_weight_decay True: load it into AdamW", adam, Group(("decoupled_weight_decay", "\x88")));
        using var adamW = new AdamW(_layer);
        Refused("has decoupled_weight_decay False: load it into Adam", adamW, Group(("decoupled_weight_decay", "\x89")));
    }

    [Fact]
    public void States_of_parameters_are_whole()
    {
        using var optimizer = new AdamW(_layer);
        Refused("has no whole number state.0.step", optimizer, Group(), $"}}K\0{Dictionary(("step", Number(2.5)))}s");
        Refused("has no whole number state.0.step", optimizer, Group(), $"}}K\0{Dictionary(("step", Number(-1)))}s");
        Refused("lacks state.0.exp_avg", optimizer, Group(), $"}}K\0{Dictionary(("step", "K\x03"))}s");
        optimizer.Load(Written(Group(), "}K\x05}s")); // of no parameter
        Assert.Equal(0, optimizer.StateBytes);
    }
}
