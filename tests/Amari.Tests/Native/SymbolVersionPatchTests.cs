using System.Buffers.Binary;
using System.Text;
using Amari.Native;
using CsCheck;

namespace Amari.Tests.Native;

public sealed class SymbolVersionPatchTests
{
    private const string Symbol = "_ZSt21ios_base_library_initv",
        Replacement = "_ZNSt8ios_base4InitC1Ev";

    // Where binutils' readelf sees the tables of the library in TorchSharp 0.107.0, and the symbol in them.
    private const int Names = 0x16760,
        Versions = 0x3dfae,
        Needs = 0x3f8f0,
        EndOfNeeds = 0x3fb00,
        Sections = 0x249360;
    private const int SymbolIndex = 482;

    private readonly byte[] _original = Library();

    [Fact]
    public void Edits_one_name_one_version_and_one_flag()
    {
        var patched = SymbolVersionPatch.Apply(_original);
        var changed = Enumerable.Range(0, _original.Length).Where(i => _original[i] != patched[i]).ToList();

        Assert.Equal(_original.Length, patched.Length);
        Assert.All(changed, i => Assert.InRange(i, Names, EndOfNeeds - 1));
        Assert.InRange(changed.Count(i => i < Versions), 1, Symbol.Length);
        Assert.Equal([Versions + (2 * SymbolIndex)], changed.Where(i => i is >= Versions and < Needs));
        Assert.Single(changed, i => i >= Needs);
        Assert.True(IndexOfName(_original, Symbol) > 0 && IndexOfName(_original, Replacement) < 0);
        Assert.Equal(IndexOfName(_original, Symbol), IndexOfName(patched, Replacement));
    }

    [Fact]
    public void A_patched_library_comes_back_unchanged()
    {
        var patched = SymbolVersionPatch.Apply(_original);
        Assert.Equal(patched, SymbolVersionPatch.Apply(patched));
    }

    [Fact]
    public void Another_symbol_that_needs_the_version_is_refused_by_name()
    {
        var versions = _original.AsSpan(Versions);
        versions[..2].Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(versions[2..], BinaryPrimitives.ReadUInt16LittleEndian(versions[(2 * SymbolIndex)..]));

        var e = Assert.Throws<InvalidDataException>(() => SymbolVersionPatch.Apply(_original));
        Assert.Matches(@"^The symbol \w+ needs GLIBCXX_3\.4\.32 too\.$", e.Message);
    }

    [Fact]
    public void Files_of_another_kind_are_refused()
    {
        _original[4] = 1; // 32 bits
        foreach (var file in new[] { [], "#!/bin/sh"u8.ToArray(), new byte[4096], _original })
            Assert.Throws<InvalidDataException>(() => SymbolVersionPatch.Apply(file));
    }

    [Fact]
    public void Every_truncation_is_refused() =>
        Gen.OneOf(Gen.Int[0, _original.Length - 1], Gen.Int[Sections, _original.Length - 1])
            .Sample(
                length =>
                {
                    Assert.Throws<InvalidDataException>(() => SymbolVersionPatch.Apply(_original.AsSpan(0, length)));
                },
                iter: 200,
                seed: "0000KOIRpGc3"
            );

    [Fact]
    public void Damaged_tables_are_refused_or_harmless()
    {
        var where = Gen.OneOf(Gen.Int[0, 63], Gen.Int[Needs, EndOfNeeds - 1], Gen.Int[Sections, _original.Length - 1]);
        Gen.Select(where, Gen.Byte)
            .Sample(
                (at, value) =>
                {
                    var file = (byte[])_original.Clone();
                    file[at] = value;
                    try
                    {
                        Assert.Equal(file.Length, SymbolVersionPatch.Apply(file).Length);
                    }
                    catch (InvalidDataException) { }
                },
                iter: 500,
                seed: "0000KOIRpGc3"
            );
    }

    private static int IndexOfName(byte[] file, string name)
    {
        var at = file.AsSpan(Names, Versions - Names).IndexOf(Encoding.ASCII.GetBytes($"\0{name}\0"));
        return at < 0 ? at : Names + at;
    }

    private static byte[] Library()
    {
        var path = NativeFolders.Find("libLibTorchSharp.so");
        Assert.SkipWhen(path is null, "TorchSharp's library for Linux is not at hand.");
        return File.ReadAllBytes(path);
    }
}
