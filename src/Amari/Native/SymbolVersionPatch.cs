using System.Buffers.Binary;
using System.Text;

namespace Amari.Native;

/// <summary>Rewrites a 64-bit little-endian ELF library that needs GLIBCXX_3.4.32 (GCC 13) so that older versions of libstdc++ load
/// it.</summary>
/// <remarks> GCC 13 emits one call that older libstdc++ lacks, <c>std::ios_base_library_init()</c>, in each library that includes iostream.
/// It does what the constructor <c>std::ios_base::Init::Init()</c>, which every libstdc++ exports, has always done, and that constructor
/// never reads its <c>this</c>. So three edits of the dynamic tables make the library load:
/// <code>
/// .gnu.version_r   the entry GLIBCXX_3.4.32 becomes weak: the loader no longer refuses
/// .dynstr          _ZSt21ios_base_library_initv becomes _ZNSt8ios_base4InitC1Ev
/// .gnu.version     that symbol now has the version GLIBCXX_3.4
/// </code>
/// The symbol is undefined in the library, hence in none of its hash tables. Layout: System V ABI, and the Linux Standard Base on symbol
/// versions. </remarks>
internal static class SymbolVersionPatch
{
    /// <summary>The version that older libstdc++ lacks.</summary>
    public const string Version = "GLIBCXX_3.4.32";

    private const string OldVersion = "GLIBCXX_3.4";
    private const string Symbol = "_ZSt21ios_base_library_initv";
    private const string OldSymbol = "_ZNSt8ios_base4InitC1Ev";
    private const uint DynamicSymbols = 11,
        VersionNeeds = 0x6ffffffe,
        VersionOfSymbols = 0x6fffffff;
    private const ushort Weak = 2;

    /// <summary>Returns a patched copy; a library that needs no patch, or has it already, comes back unchanged.</summary>
    /// <exception cref="InvalidDataException">Truncated, not such an ELF file, or another symbol needs the version too.</exception>
    public static byte[] Apply(ReadOnlySpan<byte> library)
    {
        var copy = library.ToArray();
        try
        {
            Edit(copy);
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or OverflowException)
        {
            throw new InvalidDataException("The ELF file is truncated or its tables are damaged.", e);
        }
        return copy;
    }

    private static void Edit(Span<byte> file)
    {
        if (!file[..6].SequenceEqual("\u007fELF\u0002\u0001"u8))
            throw new InvalidDataException("Not a 64-bit little-endian ELF file.");
        // all section headers, those behind the ones used too: they are the end of the file
        _ = file.Slice(Int(file, 40), 64 * U16(file, 60));
        var symbols = Section(file, DynamicSymbols);
        var names = Section(file, symbols.Link);
        var versions = Section(file, VersionOfSymbols);
        var needs = Section(file, VersionNeeds);

        int entry = FindNeed(file, needs, names, Version),
            old = FindNeed(file, needs, names, OldVersion);
        if (entry < 0)
            return;
        if (old < 0)
            throw new InvalidDataException($"No other symbol uses {OldVersion}; the layout is not the expected one.");

        var found = -1;
        var index = U16(file, entry + 6);
        for (var i = 0; i < symbols.Size / 24; i++)
        {
            if ((U16(file, versions.Offset + (2 * i)) & 0x7fff) != index)
                continue;
            var name = Name(file, names, U32(file, symbols.Offset + (24 * i)));
            if (name != Symbol || U16(file, symbols.Offset + (24 * i) + 6) != 0)
                throw new InvalidDataException($"The symbol {name} needs {Version} too.");
            found = i;
        }
        if (found < 0)
            return;

        var at = (int)U32(file, symbols.Offset + (24 * found));
        for (var i = 0; i < symbols.Size / 24; i++)
            if (i != found && (int)U32(file, symbols.Offset + (24 * i)) - at is >= 0 and <= 28)
                throw new InvalidDataException($"Another symbol shares the name of {Symbol}; the layout is not the expected one.");

        BinaryPrimitives.WriteUInt16LittleEndian(file[(entry + 4)..], (ushort)(U16(file, entry + 4) | Weak));
        var text = file.Slice(names.Offset + at, Symbol.Length);
        text.Clear();
        Encoding.ASCII.GetBytes(OldSymbol, text);
        BinaryPrimitives.WriteUInt16LittleEndian(file[(versions.Offset + (2 * found))..], U16(file, old + 6));
    }

    /// <summary>The offset of the needed version's entry (hash, flags at 4, index at 6, name at 8, next at 12), or -1.</summary>
    private static int FindNeed(ReadOnlySpan<byte> file, Table needs, Table names, string version)
    {
        for (var need = needs.Offset; ; )
        {
            var entry = checked(need + (int)U32(file, need + 8));
            for (var left = U16(file, need + 2); left > 0; left--)
            {
                if (Name(file, names, U32(file, entry + 8)) == version)
                    return entry;
                entry = checked(entry + (int)U32(file, entry + 12));
            }
            var next = checked((int)U32(file, need + 12));
            if (next == 0)
                return -1;
            need = checked(need + next);
        }
    }

    private static string Name(ReadOnlySpan<byte> file, Table names, uint offset)
    {
        var text = file.Slice(names.Offset, names.Size)[checked((int)offset)..];
        return Encoding.ASCII.GetString(text[..text.IndexOf((byte)0)]);
    }

    private static Table Section(ReadOnlySpan<byte> file, uint type)
    {
        for (var i = 0; i < U16(file, 60); i++)
            if (U32(file, Header(file, i) + 4) == type)
                return Section(file, i);
        throw new InvalidDataException($"The ELF file has no section of type 0x{type:x}.");
    }

    private static Table Section(ReadOnlySpan<byte> file, int index)
    {
        var header = Header(file, index);
        var table = new Table(Int(file, header + 24), Int(file, header + 32), checked((int)U32(file, header + 40)));
        _ = file.Slice(table.Offset, table.Size);
        return table;
    }

    private static int Header(ReadOnlySpan<byte> file, int index) => checked(Int(file, 40) + (64 * index));

    private static ushort U16(ReadOnlySpan<byte> file, int at) => BinaryPrimitives.ReadUInt16LittleEndian(file[at..]);

    private static uint U32(ReadOnlySpan<byte> file, int at) => BinaryPrimitives.ReadUInt32LittleEndian(file[at..]);

    private static int Int(ReadOnlySpan<byte> file, int at) => checked((int)BinaryPrimitives.ReadUInt64LittleEndian(file[at..]));

    private readonly record struct Table(int Offset, int Size, int Link);
}
