using Amari.Native;
using Amari.Serialization;
using Amari.Tests.Serialization;
using Amari.Tests.Training;
using Amari.Tests.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>train --save FILE</c>, and the commands that read the file.</summary>
public sealed class SaveCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string[] Train(params string[] more) =>
        [
            "train",
            "--csv",
            CsvFile.Write(_folder.Path, CsvFile.Houses()),
            "--target",
            "price",
            "--set",
            "hidden=3",
            "--optimizer",
            "adamw",
            "--epochs",
            "2",
            .. more,
        ];

    [Theory, InlineData("w.pt"), InlineData("w.PTH"), InlineData("sub/w.safetensors")]
    public void Weights_at_the_end_are_saved_with_the_names_of_the_model(string name)
    {
        var (run, file) = (_folder.File("run"), _folder.File(name));
        var (code, output, _) = Run(Train("--checkpoint", run, "--save", file, "--out", _folder.File("a")));
        Assert.Equal(0, code);
        Assert.Contains("Weights: ", output);
        AssertLast();
        byte[] before = File.ReadAllBytes(file);
        AssertRefused("already exists", Train("--save", file, "--out", _folder.File("b")));
        Assert.Equal(before, File.ReadAllBytes(file));

        // a run that is finished gives those of its checkpoint
        Assert.Equal(0, Run(Train("--checkpoint", run, "--resume", "--save", file, "--overwrite", "--out", _folder.File("c"))).Code);
        AssertLast();

        string[] verify = ["verify", "--csv", _folder.File("houses.csv"), "--target", "price", "--examples", "2", "--checkpoint", file];
        (code, output, _) = Run([.. verify, "--set", "hidden=3", "--out", _folder.File("v")]);
        Assert.Equal(0, code);
        Assert.Contains($"weights of {file}", output);
        var other = Run([.. verify, "--set", "hidden=4", "--out", _folder.File("w")]);
        Assert.Equal(2, other.Code);
        Assert.Contains("does not belong to this model: it has other shapes: 'fc1.weight' [3, 5] for [4, 5]", other.Error);

        void AssertLast()
        {
            using var weights = Checkpoint.Open(file);
            using var last = Checkpoint.Open(run);
            Assert.True(weights.IsWeights);
            Assert.Equal(["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"], weights.Tensors.Keys.Order());
            foreach (var (key, tensor) in weights.Tensors)
                Assert.Equal(last.Tensors["model." + key].Elements<float>(), tensor.Elements<float>());
        }
    }

    /// <summary>At the end there is a file where the folder of the weights should be.</summary>
    [Fact]
    public void Weights_that_their_folder_does_not_take_are_elsewhere()
    {
        string[] line = Train("--out", _folder.File("o"), "--save", _folder.File("o/result.json/w.pt"));
        string here = Environment.CurrentDirectory;
        Environment.CurrentDirectory = _folder.Path;
        try
        {
            var (code, _, error) = Run(line);
            Assert.Equal(1, code);
            string other = Assert.Single(Directory.GetDirectories(_folder.Path, "amari-results-*"));
            Assert.EndsWith(
                $"the weights are in '{Path.Combine(other, "w.pt")}'.",
                Assert.Single(error.Trim().Split('\n')),
                StringComparison.Ordinal
            );
            using var weights = Checkpoint.Open(Path.Combine(other, "w.pt"));
            Assert.Equal(4, weights.Tensors.Count);
        }
        finally
        {
            Environment.CurrentDirectory = here;
        }
    }

    [Theory, InlineData("malicious.pt"), InlineData("malicious-legacy.pt")]
    public void A_file_that_would_run_a_program_is_refused(string name)
    {
        string file = PyTorchFixture.PathOf(name);
        var (code, _, error) = Run("spectrum", "digits-softmax", "--checkpoint", file, "--out", _folder.File("out"));
        Assert.Equal(2, code);
        Assert.Contains("its pickle refers to posix.system, which is no part of a state dict of tensors; nothing was executed.", error);
        Assert.Single(error.Trim().Split('\n'));
        Assert.False(Directory.Exists(_folder.File("out")));
    }

    [Fact]
    public void Bad_files_are_refused_before_training()
    {
        AssertRefused("--save is 'w.onnx'; it must end with .pt, .pth or .safetensors.", Train("--save", "w.onnx"));
        Directory.CreateDirectory(_folder.File("d.pt"));
        AssertRefused("is a folder; it must be a file.", Train("--save", _folder.File("d.pt")));
        AssertRefused("--save is ''; it must name a file.", Train("--save", ""));
        AssertRefused("but no file can be written in /proc.", Train("--save", "/proc/none/w.pt"));
        string file = _folder.File("j.pt");
        AssertRefused("--save and --json are both", Train("--save", file, "--json", file));
        AssertRefused("--save and --log-jsonl are both", Train("--save", file, "--log-jsonl", file));
    }
}
