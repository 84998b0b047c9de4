namespace Amari.Serialization;

/// <summary>The elements of one or more tensors in a file of PyTorch.</summary>
/// <param name="Key">Its name in the file.</param>
/// <param name="Type">The dtype.</param>
/// <param name="Length">Number of elements, ≥ 0.</param>
internal sealed record PyTorchStorage(string Key, ScalarType Type, long Length)
{
    private static readonly (string Name, ScalarType Type, int Size)[] Types =
    [
        ("FloatStorage", ScalarType.Float32, 4),
        ("DoubleStorage", ScalarType.Float64, 8),
        ("HalfStorage", ScalarType.Float16, 2),
        ("BFloat16Storage", ScalarType.BFloat16, 2),
        ("LongStorage", ScalarType.Int64, 8),
        ("IntStorage", ScalarType.Int32, 4),
        ("ShortStorage", ScalarType.Int16, 2),
        ("CharStorage", ScalarType.Int8, 1),
        ("ByteStorage", ScalarType.Byte, 1),
        ("BoolStorage", ScalarType.Bool, 1),
    ];

    /// <summary>The dtypes, with commas.</summary>
    public static string TypeNames { get; } = string.Join(", ", Types.Select(t => t.Type));

    /// <summary>Number of bytes.</summary>
    public long Bytes => checked(Length * Array.Find(Types, t => t.Type == Type).Size);

    /// <summary>The dtype of a class of <c>torch</c>, such as <c>FloatStorage</c>; null if it is none that is read.</summary>
    public static ScalarType? TypeOf(string name) => Array.Find(Types, t => t.Name == name) is { Name: not null } type ? type.Type : null;

    /// <summary>The class of <c>torch</c> for a tensor.</summary>
    /// <exception cref="ArgumentException">There is none; the message has the tensor and the dtypes.</exception>
    public static string NameOf(string tensor, ScalarType type) =>
        Array.Find(Types, t => t.Type == type).Name
        ?? throw new ArgumentException($"Tensor '{tensor}' has dtype {type}; files for PyTorch store {TypeNames}.");

    /// <summary>Reads the elements. The caller disposes them.</summary>
    /// <exception cref="EndOfStreamException">The file ends before.</exception>
    public Tensor Read(Stream file)
    {
        var elements = empty([Length], Type, CPU).DetachFromDisposeScope();
        try
        {
            foreach (var piece in Safetensors.Pieces(elements))
                file.ReadExactly(piece.bytes);
            return elements;
        }
        catch
        {
            elements.Dispose();
            throw;
        }
    }
}
