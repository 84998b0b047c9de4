using System.Security.Cryptography;

namespace Amari.Reporting;

/// <summary>Which files of a folder the tool wrote: <c>.amari</c>, a line with the SHA-256 and the name for each content that a file was
/// given, as <c>sha256sum</c> writes them. A file that somebody changed is no longer the tool's.</summary>
internal sealed class Manifest(string folder)
{
    /// <summary>The name of the file.</summary>
    public const string FileName = ".amari";

    private const string Growing = "growing"; // in place of a sum: a log that is appended to
    private readonly string _path = Path.Combine(folder, FileName);

    /// <summary>Whether a file may be replaced: it is not there, or its content is the tool's.</summary>
    public bool Owns(string name)
    {
        string file = Path.Combine(folder, name);
        if (!File.Exists(file))
            return !Directory.Exists(file);
        var known = Lines().ToHashSet(StringComparer.Ordinal);
        return known.Contains(Line(Growing, name)) || known.Contains(Line(Sum(File.ReadAllBytes(file)), name));
    }

    /// <summary>Notes a content before the file gets it, so that a kill between the two leaves no file without an owner.</summary>
    public void Add(string name, byte[] content) => Append(Line(Sum(content), name));

    /// <summary>Notes a file that grows.</summary>
    public void AddGrowing(string name) => Append(Line(Growing, name));

    private void Append(string line)
    {
        if (!Lines().Contains(line))
            File.AppendAllText(_path, line + "\n");
    }

    private string[] Lines() => File.Exists(_path) ? File.ReadAllLines(_path) : [];

    private static string Line(string sum, string name) => $"{sum}  {name}";

    private static string Sum(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}
