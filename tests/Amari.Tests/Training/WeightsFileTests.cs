using Amari.Native;
using Amari.Serialization;
using Amari.Training;

namespace Amari.Tests.Training;

/// <summary>Weights at the end of a run, also where their disk does not take them.</summary>
public sealed class WeightsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Linear _model = nn.Linear(2, 1);
    private readonly StringWriter _output = new(),
        _error = new();

    public void Dispose()
    {
        _folder.Dispose();
        _model.Dispose();
        _output.Dispose();
        _error.Dispose();
    }

    private WeightsFile Taken(string path)
    {
        var file = WeightsFile.Of("--save", path, replace: false);
        file.Take(_model, default);
        return file;
    }

    private void AssertSaved(string path)
    {
        using var saved = Checkpoint.Open(path);
        Assert.Equal(_model.weight.Elements<float>(), saved.Tensors["weight"].Elements<float>());
    }

    [Theory, InlineData("w.pt"), InlineData("w.safetensors")]
    public void A_folder_that_has_vanished_is_made_again(string name)
    {
        string path = Path.Combine(Directory.CreateDirectory(_folder.File("models")).FullName, name);
        using var file = Taken(path);
        Directory.Delete(_folder.File("models"));
        Assert.True(file.Write(null, _output, _error));
        Assert.Equal("", _error.ToString());
        AssertSaved(path);
    }

    [Theory, InlineData("w.pt"), InlineData("w.safetensors")]
    public void Weights_that_cannot_be_written_go_to_a_private_folder(string name)
    {
        string path = Path.Combine(Directory.CreateDirectory(_folder.File("models")).FullName, name),
            here = Environment.CurrentDirectory;
        using var file = Taken(path);
        Directory.Delete(_folder.File("models"));
        File.WriteAllText(_folder.File("models"), ""); // also root cannot write there
        Environment.CurrentDirectory = _folder.Path;
        try
        {
            Assert.False(file.Write(null, _output, _error));
        }
        finally
        {
            Environment.CurrentDirectory = here;
        }
        string other = Path.Combine(Assert.Single(Directory.GetDirectories(_folder.Path)), name),
            line = Assert.Single(_error.ToString().Trim().Split('\n'));
        Assert.StartsWith($"'{path}' could not be written (", line, StringComparison.Ordinal);
        Assert.EndsWith($"); the weights are in '{other}'.", line, StringComparison.Ordinal);
        Assert.Equal("", _output.ToString());
        AssertSaved(other);
    }
}
