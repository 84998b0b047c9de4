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

        static string Refused(string path) => Assert.Throws<InvalidDataException>(() => Checkpoint.Open(path)).Message;
    }
}
