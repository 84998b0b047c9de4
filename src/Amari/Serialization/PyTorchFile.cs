using System.Globalization;
using System.Runtime.InteropServices;

namespace Amari.Serialization;

/// <summary>A file of PyTorch's <c>torch.save</c>: the state dict of a model or an optimizer, or lists and dictionaries of
/// such.</summary>
/// <remarks>Nothing in the file is executed. It may hold tensors, numbers, texts, lists, tuples and dictionaries; a file that refers to
/// anything else, such as a whole model with its class, is refused. Both formats are read: the zip archive of PyTorch 1.6 and later, and
/// the one before. <see cref="Save"/> writes the zip archive.
/// <para>To load the weights of a model, use <see cref="Checkpoint.Open"/>; the state of an optimizer, <see cref="Optimizer.Load"/>.</para>
/// <para>The object owns its tensors: dispose it. They are on the CPU, require no gradient and are in no dispose scope. Tensors that share
/// memory in the file also do here.</para></remarks>
public sealed class PyTorchFile : IDisposable
{
    private const int MaxDepth = 32, // of lists in lists
        MaxName = 1024; // characters
    private readonly Dictionary<string, Tensor> _tensors = [];

    private PyTorchFile(object? content) => Content = content;

    /// <summary>All tensors by name. In a dictionary within a dictionary or list, keys and places are joined by dots, as in
    /// <c>optimizer.state.0.exp_avg</c>.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => _tensors;

    /// <summary>What was saved: see <see cref="Unpickler"/>.</summary>
    internal object? Content { get; }

    /// <summary>The extensions of such files.</summary>
    internal static IReadOnlyList<string> Extensions { get; } = [".pt", ".pth"];

    /// <summary>Whether a file is read as one of <c>torch.save</c>: it begins like one, or has such an extension and does not begin as
    /// safetensors.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static bool Is(string path)
    {
        using var file = Open(path);
        return file.CanSeek
            && (
                PyTorchReader.Begins(file)
                || (Extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase) && !Safetensors.Begins(file))
            );
    }

    /// <summary>Reads a file. The caller disposes the result.</summary>
    /// <exception cref="InvalidDataException">The file is damaged, is not one of <c>torch.save</c>, or refers to anything but tensors and
    /// plain values. The message names the file and the reason.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static PyTorchFile Load(string path)
    {
        using var file = Open(path);
        Dictionary<string, Tensor> storages = [];
        PyTorchFile? result = null;
        try
        {
            result = new(PyTorchReader.Read(file, storages));
            foreach (var (name, tensor) in Found(result.Content, "", 0, []))
            {
                var view = storages[tensor.Storage.Key].as_strided(tensor.Shape, tensor.Strides, tensor.Offset).DetachFromDisposeScope();
                if (!result._tensors.TryAdd(name, view))
                {
                    view.Dispose();
                    throw new InvalidDataException($"two of its tensors are named '{name}'");
                }
            }
            return result;
        }
        catch (Exception e)
        {
            result?.Dispose();
            if (e is ExternalException or OutOfMemoryException)
                throw new IOException($"{path} cannot be read into memory: {e.Message.Split('\n')[0].Trim()}", e);
            if (e is InvalidDataException or EndOfStreamException or OverflowException)
                throw new InvalidDataException($"{path} is damaged or not a file of tensors from PyTorch: {e.Message.TrimEnd('.')}.", e);
            throw;
        }
        finally
        {
            foreach (var storage in storages.Values)
                storage.Dispose();
        }
    }

    /// <summary>Writes a state dict that <c>torch.load</c> reads, also with <c>weights_only=True</c>, atomically. The same content gives
    /// the same bytes.</summary>
    /// <param name="path">The file, created or replaced; its folder must exist.</param>
    /// <param name="tensors">Tensors by name, such as <c>model.state_dict()</c>, of any shape, stride and device, of dtype float64,
    /// float32, float16, bfloat16, int64, int32, int16, int8, uint8 or bool. They are not changed. Each is written whole, also if two share
    /// memory.</param>
    /// <exception cref="ArgumentException">The format does not support a dtype.</exception>
    /// <exception cref="IOException">The file system refused to write. An older file of that name stays.</exception>
    public static void Save(string path, IReadOnlyDictionary<string, Tensor> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        byte[] pickle = PyTorchWriter.Pickle(tensors);
        AtomicFile.Write(path, file => PyTorchWriter.Write(file, pickle, tensors.Values));
    }

    /// <summary>The tensors of a model by its names: those of the file, if it is a state dict; otherwise those of the only state dict in
    /// it.</summary>
    /// <exception cref="InvalidDataException">It has none, or several. The message names what it has.</exception>
    internal IReadOnlyDictionary<string, Tensor> StateDict()
    {
        if (Content is not OrderedDictionary<object, object?> all)
            throw new InvalidDataException("The file holds no state dict of a model.");
        if (all.Values.Any(v => v is PyTorchTensor))
            return Of(all, "");
        var models = all.Where(e => e.Value is OrderedDictionary<object, object?> { Count: > 0 } d && d.Values.All(v => v is PyTorchTensor))
            .ToList();
        string Names(IEnumerable<object> keys) => string.Join(", ", keys.Select(k => $"'{NameOf(k)}'"));
        return models is [var model]
            ? Of((OrderedDictionary<object, object?>)model.Value!, NameOf(model.Key) + ".")
            : throw new InvalidDataException(
                models.Count == 0
                    ? $"The file holds no state dict of a model; it has {Names(all.Keys)}."
                    : $"The file holds several state dicts, {Names(models.Select(m => m.Key))}; save one of them."
            );

        Dictionary<string, Tensor> Of(OrderedDictionary<object, object?> entries, string prefix) =>
            entries.Where(e => e.Value is PyTorchTensor).ToDictionary(e => NameOf(e.Key), e => _tensors[prefix + NameOf(e.Key)]);
    }

    /// <summary>A key as a part of a name.</summary>
    internal static string NameOf(object key) => Convert.ToString(key, CultureInfo.InvariantCulture)!;

    /// <summary>Disposes the tensors.</summary>
    public void Dispose()
    {
        foreach (var tensor in _tensors.Values)
            tensor.Dispose();
    }

    // FileShare.Delete lets a writer replace the file on Windows too, while the old one is still being read.
    private static FileStream Open(string path) =>
        new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 1 << 16);

    /// <summary>The tensors in a value, each list once.</summary>
    private static IEnumerable<(string Name, PyTorchTensor Tensor)> Found(object? value, string name, int depth, HashSet<object> seen)
    {
        if (name.Length > MaxName)
            throw new InvalidDataException($"it has a name of more than {MaxName} characters");
        if (value is PyTorchTensor tensor)
            return [(name, tensor)];
        IEnumerable<(string Key, object? Value)> parts = value switch
        {
            OrderedDictionary<object, object?> entries => entries.Select(e => (NameOf(e.Key), e.Value)),
            IReadOnlyList<object?> items => items.Select((item, i) => (NameOf(i), item)),
            _ => [],
        };
        if (value is null or string || !parts.Any() || !seen.Add(value))
            return [];
        if (depth == MaxDepth)
            throw new InvalidDataException($"its lists are nested deeper than {MaxDepth}");
        return parts.SelectMany(p => Found(p.Value, name.Length == 0 ? p.Key : $"{name}.{p.Key}", depth + 1, seen));
    }
}
