using Amari.Serialization;
using Amari.Tests.Training;
using static Amari.Tests.Serialization.PyTorchFixture;

namespace Amari.Tests.Serialization;

/// <summary>The weights of a model from files of PyTorch, and for it.</summary>
public sealed class CheckpointPyTorchTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static Sequential Network() =>
        nn.Sequential(("conv", nn.Conv2d(1, 2, 3)), ("norm", nn.BatchNorm2d(2)), ("flat", nn.Flatten()), ("fc", nn.Linear(8, 3)));

    [Theory]
    [InlineData("model.pt")]
    [InlineData("model-legacy.pt")]
    [InlineData("checkpoint.pt")] // in a dictionary with other parts
    public void A_model_takes_the_weights_of_a_file(string name)
    {
        using var model = Network();
        using (var file = Checkpoint.Open(PathOf(name)))
        {
            Assert.True(file.IsWeights);
            file.CopyTo(model);
        }
        AssertEqual(Of(name), model.state_dict());
    }

    [Fact]
    public void Weights_pass_through_both_formats_with_the_names_of_pytorch()
    {
        using var model = Network();
        PyTorchFile.Save(_folder.File("a.pt"), model.state_dict());
        Safetensors.Save(_folder.File("a.safetensors"), model.state_dict());
        foreach (string name in (string[])["a.pt", "a.safetensors"])
        {
            using var other = Network();
            using var file = Checkpoint.Open(_folder.File(name));
            Assert.Equal(model.state_dict().Keys.Order(), file.Tensors.Keys.Order());
            file.CopyTo(other);
            foreach (var (key, tensor) in model.state_dict())
                Assert.True(tensor.eq(other.state_dict()[key]).all().ToBoolean());
        }
    }

    /// <summary>By its name it should be a file of torch.save, so the message says what it is instead.</summary>
    [Theory]
    [InlineData("empty.pt", "", "it is empty.")]
    [InlineData("page.PTH", "<!DOCTYPE html>\n<p>404</p>\n", "it is text; save the state_dict() with torch.save of PyTorch 1.6 or later, ")]
    [InlineData("raw.pt", "\u0080\u0004\u0095\u0020\0\0\0\0\0\0\0}.", "it is a pickle that torch.save did not write; save the ")]
    [InlineData("other.pth", "\u0000\u0001\u0002\u0003", "it begins with neither a zip archive nor a pickle of the format before ")]
    public void A_file_with_its_name_that_torch_did_not_save_is_refused(string name, string content, string expected)
    {
        string path = _folder.File(name);
        File.WriteAllBytes(path, System.Text.Encoding.Latin1.GetBytes(content));
        using var model = nn.Linear(1, 1);
        using var optimizer = new AdamW(model);
        Action[] readers = [() => Checkpoint.Open(path).Dispose(), () => optimizer.Load(path), () => PyTorchFile.Load(path).Dispose()];
        foreach (var read in readers)
            Assert.StartsWith(
                $"{path} is damaged or not a file of tensors from PyTorch: {expected}",
                Assert.Throws<InvalidDataException>(read).Message,
                StringComparison.Ordinal
            );
    }

    [Fact]
    public void Safetensors_are_read_whatever_their_name()
    {
        using var model = Network();
        Safetensors.Save(_folder.File("a.pt"), model.state_dict());
        using var file = Checkpoint.Open(_folder.File("a.pt"));
        Assert.Equal(model.state_dict().Keys.Order(), file.Tensors.Keys.Order());
        File.WriteAllBytes(_folder.File("cut.pt"), File.ReadAllBytes(_folder.File("a.pt"))[..^1]);
        Assert.Contains("not a safetensors file", Refused(_folder.File("cut.pt")), StringComparison.Ordinal);
    }

    private static string Refused(string path) => Assert.Throws<InvalidDataException>(() => Checkpoint.Open(path)).Message;

    [Fact]
    public void Other_files_are_refused_with_the_reason()
    {
        using var model = nn.Linear(8, 3);
        using (var file = Checkpoint.Open(PathOf("model.pt")))
        {
            var e = Assert.Throws<InvalidDataException>(() => file.CopyTo(model));
            Assert.Contains(
                "it lacks 'weight' [3, 8], 'bias' [3]; it has tensors that the model lacks: 'conv.weight' [2, 1, 3, 3]",
                e.Message
            );
        }
        Assert.Equal("The file holds no state dict of a model; it has 'state', 'param_groups'.", Refused(PathOf("adamw.pt")));
        Assert.Contains("posix.system", Refused(PathOf("malicious.pt")));
    }
}
