using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Amari.Serialization;

/// <summary>Reads a pickle of Python that holds tensors, numbers, texts, lists, tuples and dictionaries, such as <c>torch.save</c>
/// writes.</summary>
/// <remarks>A pickle is a program for a small stack machine (https://docs.python.org/3/library/pickletools.html), which in Python can call
/// any function. Here it cannot call anything: the few names of PyTorch that describe tensors are recognised, and every other name is
/// refused. Protocols 2 to 5 are read.
/// <para>Values are null, bool, <see cref="long"/>, <see cref="BigInteger"/>, <see cref="double"/>, <see cref="string"/>,
/// <see cref="byte"/> arrays, <see cref="List{T}"/> of object, object arrays (tuples), <see cref="OrderedDictionary{TKey, TValue}"/> of
/// objects, and <see cref="PyTorchTensor"/>.</para></remarks>
/// <param name="file">Seekable, at the start of the pickle. Not owned. It is read up to the end of the pickle.</param>
internal sealed class Unpickler(Stream file)
{
    private const int MinProtocol = 2,
        MaxProtocol = 5,
        MaxShown = 80; // characters of a name in a message
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = [];
    private readonly Dictionary<long, object?> _memo = [];
    private readonly Dictionary<string, PyTorchStorage> _storages = [];

    /// <summary>A name that a pickle may refer to.</summary>
    private sealed record Global(string Module, string Name)
    {
        public static Global Dictionary { get; } = new("collections", "OrderedDict");
        public static Global Tensor { get; } = new("torch._utils", "_rebuild_tensor_v2");
        public static Global Parameter { get; } = new("torch._utils", "_rebuild_parameter");

        /// <summary>A parameter with attributes, since PyTorch 2.0.</summary>
        public static Global MarkedParameter { get; } = new("torch._utils", "_rebuild_parameter_with_state");

        /// <summary>A tensor with attributes: a function, its arguments, and the class of the result.</summary>
        public static Global MarkedTensor { get; } = new("torch._tensor", "_rebuild_from_type_v2");
        public static Global TensorClass { get; } = new("torch", "Tensor");
        public static Global Size { get; } = new("torch", "Size");

        private static readonly Global[] Named = [Dictionary, Tensor, Parameter, MarkedParameter, MarkedTensor, TensorClass, Size];

        public bool IsKnown => Named.Contains(this) || (Module == "torch" && ElementType is not null);

        /// <summary>Whether it describes tensors of a kind that is not read: another dtype, sparse, quantized.</summary>
        public bool IsOtherTensor =>
            Module == "torch"
                ? Name.EndsWith("Storage", StringComparison.Ordinal)
                : Module == "torch._utils" && Name.StartsWith("_rebuild_", StringComparison.Ordinal);

        public ScalarType? ElementType => PyTorchStorage.TypeOf(Name);
    }

    /// <summary>The storages that the tensors refer to, by key.</summary>
    public IReadOnlyDictionary<string, PyTorchStorage> Storages => _storages;

    /// <summary>Reads the pickle.</summary>
    /// <exception cref="InvalidDataException">It is malformed, or refers to a name that is no part of tensors. The message says which, as a
    /// part of a sentence.</exception>
    /// <exception cref="EndOfStreamException">The file ends before the pickle.</exception>
    public object? Read()
    {
        while (true)
        {
            int code = Byte();
            if (code == '.')
                return Pop();
            Execute(code);
        }
    }

    private void Execute(int code)
    {
        switch (code)
        {
            case 0x80:
                if (Byte() is var protocol && protocol is < MinProtocol or > MaxProtocol)
                    throw new InvalidDataException($"its pickle has protocol {protocol}; {MinProtocol} to {MaxProtocol} are read");
                break;
            case 0x95: // FRAME: a length that readers in pieces need
                Bytes(sizeof(long));
                break;
            case '(':
                _marks.Push(_stack.Count);
                break;
            case 'N':
                Push(null);
                break;
            case 0x88:
                Push(true);
                break;
            case 0x89:
                Push(false);
                break;
            case 'K':
                Push((long)Byte());
                break;
            case 'M':
                Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2)));
                break;
            case 'J':
                Push((long)BinaryPrimitives.ReadInt32LittleEndian(Bytes(4)));
                break;
            case 0x8a:
                var number = new BigInteger(Bytes(Byte()));
                Push(number >= long.MinValue && number <= long.MaxValue ? (object)(long)number : number);
                break;
            case 'G':
                Push(BinaryPrimitives.ReadDoubleBigEndian(Bytes(8)));
                break;
            case 'X':
                Push(Text(BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4))));
                break;
            case 0x8c:
                Push(Text(Byte()));
                break;
            case 'C':
                Push(Bytes(Byte()));
                break;
            case 'B':
                Push(Bytes(BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4))));
                break;
            case ']':
                Push(new List<object?>());
                break;
            case '}':
                Push(new OrderedDictionary<object, object?>());
                break;
            case ')':
                Push(Array.Empty<object?>());
                break;
            case 't':
                Push(PopToMark());
                break;
            case 0x85 or 0x86 or 0x87:
                Push(PopMany(code - 0x84));
                break;
            case 'a':
                var item = Pop();
                Top<List<object?>>("a list").Add(item);
                break;
            case 'e':
                var items = PopToMark();
                Top<List<object?>>("a list").AddRange(items);
                break;
            case 's':
                SetItems(PopMany(2));
                break;
            case 'u':
                SetItems(PopToMark());
                break;
            case 'q':
                _memo[Byte()] = Peek();
                break;
            case 'r':
                _memo[BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4))] = Peek();
                break;
            case 0x94:
                _memo[_memo.Count] = Peek();
                break;
            case 'h':
                Push(Remembered(Byte()));
                break;
            case 'j':
                Push(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4))));
                break;
            case 'c':
                Push(Known(Line(), Line()));
                break;
            case 0x93:
                Push(PopMany(2) is [string module, string name] ? Known(module, name) : throw Malformed("a name that is no text"));
                break;
            case 'Q':
                Push(StorageOf(Pop()));
                break;
            case 'R':
                var arguments = Pop();
                Push(Made(Pop() as Global, arguments as object?[]));
                break;
            case 'b': // the attributes of a state dict, such as its version, are not used
                if (Pop() is not OrderedDictionary<object, object?>)
                    throw Malformed("attributes that are no dictionary");
                Top<OrderedDictionary<object, object?>>("a dictionary");
                break;
            default:
                throw Malformed($"the unknown instruction 0x{code:X2}");
        }
    }

    private static Global Known(string module, string name) =>
        new Global(module, name) switch
        {
            { IsKnown: true } known => known,
            { IsOtherTensor: true } => throw new InvalidDataException(
                $"it has a tensor of a kind that is not read ({module}.{Shown(name)}); dense tensors of {PyTorchStorage.TypeNames} are"
            ),
            _ => throw new InvalidDataException(
                $"its pickle refers to {Shown(module)}.{Shown(name)}, which is no part of a state dict of tensors; nothing was executed"
            ),
        };

    /// <summary>What a call would make, for the names that are known.</summary>
    private static object? Made(Global? function, object?[]? arguments) =>
        (function, arguments) switch
        {
            (null, _) or (_, null) => throw Malformed("a call of what is no function"),
            _ when function == Global.Dictionary && arguments is [] => new OrderedDictionary<object, object?>(),
            _ when function == Global.Size && arguments is [object?[] size] => size,
            _ when (function == Global.Parameter || function == Global.MarkedParameter) && arguments is [PyTorchTensor tensor, bool, ..] =>
                tensor,
            _ when function == Global.MarkedTensor
                    && arguments is [Global inner, Global type, object?[] values, ..]
                    && inner == Global.Tensor
                    && type == Global.TensorClass => Made(inner, values),
            _ when function == Global.Tensor
                    && arguments is [PyTorchStorage storage, long offset, object?[] shape, object?[] strides, bool, _, .. var notes]
                    && !IsPending(notes) => new PyTorchTensor(storage, offset, Whole(shape), Whole(strides)).Checked(),
            _ => throw Malformed($"unexpected arguments of {function.Module}.{function.Name}"),
        };

    /// <summary>Whether the elements in memory are still to be negated or conjugated, as notes on a tensor may say.</summary>
    private static bool IsPending(object?[] notes) =>
        notes is [OrderedDictionary<object, object?> marks] && marks.Any(m => m.Value is not false)
            ? throw new InvalidDataException(
                "it has a tensor whose negation or conjugation is pending; save x.resolve_neg() or x.resolve_conj() in its place"
            )
            : notes is not ([] or [OrderedDictionary<object, object?>]);

    private PyTorchStorage StorageOf(object? id)
    {
        if (
            id is not object?[] parts
            || parts is not ["storage", Global { Module: "torch", ElementType: { } type }, string key, string, long length, ..]
            || (parts.Length > 5 && parts[5] is not null)
            || length < 0
        )
            throw Malformed("a storage that is not described as by torch.save");
        var storage = new PyTorchStorage(key, type, length);
        if (!_storages.TryAdd(key, storage) && _storages[key] != storage)
            throw Malformed($"two different descriptions of the storage '{Shown(key)}'");
        return storage;
    }

    private void SetItems(object?[] items)
    {
        var dictionary = Top<OrderedDictionary<object, object?>>("a dictionary");
        if (items.Length % 2 != 0)
            throw Malformed("a key without a value");
        for (int i = 0; i < items.Length; i += 2)
            dictionary[items[i] is string or long ? items[i]! : throw Malformed("a key that is neither text nor a whole number")] = items[
                i + 1
            ];
    }

    private static long[] Whole(object?[] values) =>
        [.. values.Select(v => v is long number ? number : throw Malformed("a shape that is not of whole numbers"))];

    private object? Remembered(long place) => _memo.TryGetValue(place, out object? value) ? value : throw Malformed("an unknown reference");

    private void Push(object? value) => _stack.Add(value);

    private object? Peek() => _stack.Count > Floor ? _stack[^1] : throw Malformed("an empty stack");

    private int Floor => _marks.TryPeek(out int mark) ? mark : 0;

    private T Top<T>(string what)
        where T : class => Peek() as T ?? throw Malformed($"an item for what is not {what}");

    private object? Pop() => PopMany(1)[0];

    private object?[] PopMany(int count)
    {
        if (_stack.Count - Floor < count)
            throw Malformed("an empty stack");
        object?[] values = [.. _stack[^count..]];
        _stack.RemoveRange(_stack.Count - count, count);
        return values;
    }

    private object?[] PopToMark()
    {
        if (!_marks.TryPop(out int mark))
            throw Malformed("an end without a beginning");
        object?[] values = [.. _stack[mark..]];
        _stack.RemoveRange(mark, values.Length);
        return values;
    }

    private int Byte() => file.ReadByte() is >= 0 and var value ? value : throw new EndOfStreamException("its pickle ends too early");

    private byte[] Bytes(long count)
    {
        if (count > file.Length - file.Position)
            throw new EndOfStreamException("its pickle ends too early");
        var bytes = new byte[count];
        file.ReadExactly(bytes);
        return bytes;
    }

    private string Text(long length) => Encoding.UTF8.GetString(Bytes(length));

    private string Line()
    {
        var line = new List<byte>();
        for (int next; (next = Byte()) != '\n'; )
            line.Add((byte)next);
        return Encoding.UTF8.GetString([.. line]);
    }

    private static string Shown(string name) =>
        string.Concat((name.Length <= MaxShown ? name : name[..MaxShown] + "...").Select(c => char.IsControl(c) ? '?' : c));

    private static InvalidDataException Malformed(string what) => new($"its pickle is malformed: it has {what}");
}
