using Amari.Serialization;

namespace Amari.Training;

/// <summary>The weights at the end of a run as a file for other programs, with PyTorch's names: a state dict of <c>torch.save</c>
/// (<c>.pt</c>, <c>.pth</c>) or <c>.safetensors</c>.</summary>
internal sealed class WeightsFile : IDisposable
{
    private const string Safe = ".safetensors";
    private readonly string _path;
    private readonly Dictionary<string, Tensor> _copy = [];

    private WeightsFile(string path) => _path = path;

    /// <summary>Checks that a file can be written, before there are weights.</summary>
    /// <param name="option">The option that sets it on the command line.</param>
    /// <param name="path">The file.</param>
    /// <param name="replace">Whether an existing file may be replaced.</param>
    /// <exception cref="ArgumentException">It has another extension, exists, or is no file.</exception>
    public static WeightsFile Of(string option, string path, bool replace)
    {
        string extension = Path.GetExtension(path).ToLowerInvariant();
        if (extension != Safe && !PyTorchFile.Extensions.Contains(extension))
            throw new ArgumentException($"{option} is '{path}'; it must end with {string.Join(", ", PyTorchFile.Extensions)} or {Safe}.");
        string file =
            OutputTarget.Of(option, path, replace, TextWriter.Null).File
            ?? throw new ArgumentException($"{option} is '{path}', which is a pipe or a device; it must be a file.");
        string folder = Path.GetDirectoryName(file)!;
        while (!Path.Exists(folder))
            folder = Path.GetDirectoryName(folder)!;
        try
        {
            string trial = Path.Combine(folder, $".amari-{Guid.NewGuid():N}");
            using (new FileStream(trial, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose)) { }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"{option} is '{path}', but no file can be written in {folder}.", e);
        }
        return new(file);
    }

    /// <summary>Copies the weights of an evaluation, in place of those of an earlier one.</summary>
    public void Take(nn.Module<Tensor, Tensor> model, LossPoint at) => Take(model.state_dict());

    private void Take(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (name, tensor) in tensors)
            if (_copy.TryGetValue(name, out var copy))
                copy.copy_(tensor);
            else
                _copy[name] = tensor.detach().clone().cpu().DetachFromDisposeScope();
    }

    /// <summary>Writes the weights of the last evaluation; of a run that had been finished before, those of its newest checkpoint. If the
    /// file cannot be written, they go to a <see cref="PrivateFolder"/>. One line reports what was done.</summary>
    /// <param name="checkpoints">The folder of its checkpoints; null for none.</param>
    /// <param name="output">Receives the line if the weights are where they should be, or there are none to save.</param>
    /// <param name="error">Receives it otherwise.</param>
    /// <returns>Whether the line went to <paramref name="output"/>.</returns>
    public bool Write(string? checkpoints, TextWriter output, TextWriter error)
    {
        if (_copy.Count == 0 && checkpoints is not null)
        {
            using var saved = Checkpoint.Open(checkpoints);
            const string prefix = Checkpoint.ModelPrefix;
            Take(
                saved
                    .Tensors.Where(t => t.Key.StartsWith(prefix, StringComparison.Ordinal))
                    .Select(t => KeyValuePair.Create(t.Key[prefix.Length..], t.Value))
            );
        }
        if (_copy.Count == 0 || NotFinite.First(_copy) is not null)
        {
            output.WriteLine($"The weights were not saved in {_path}: {(_copy.Count == 0 ? "there are none" : "they are not finite")}.");
            return true;
        }
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            Save(_path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string name = Path.GetFileName(_path),
                where = PrivateFolder.Write(folder => Save(Path.Combine(folder, name))) is { } other
                    ? $"the weights are in '{Path.Combine(other, name)}'."
                    : "the current folder, the home directory and that of temporary files refuse them too: the weights are lost.";
            error.WriteLine($"'{_path}' could not be written ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')}); {where}");
            return false;
        }
        output.WriteLine($"Weights: {Path.GetRelativePath(Environment.CurrentDirectory, _path)}");
        return true;
    }

    private void Save(string path)
    {
        if (Path.GetExtension(path).Equals(Safe, StringComparison.OrdinalIgnoreCase))
            Safetensors.Save(path, _copy);
        else
            PyTorchFile.Save(path, _copy);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in _copy.Values)
            tensor.Dispose();
        _copy.Clear();
    }
}
