using System.Security.Cryptography;

namespace Amari.Reporting;

/// <summary>Lists the files of a folder that the tool wrote: <c>.amari</c> has one line with the SHA-256 and the name for each content, in
/// the format of <c>sha256sum</c>. A file that somebody changed no longer belongs to the tool.</summary>
internal sealed class Manifest(string folder)
{
    /// <summary>The name of the file.</summary>
    public const string FileName = ".amari";

    private const string Growing = "growing"; // in place of a checksum: a log file that grows
    private readonly string _path = Path.Combine(folder, FileName);

    /// <summary>Whether a file may be replaced: it does not exist, or its content is the tool's.</summary>
    public bool Owns(string name)
    {
        string file = Path.Combine(folder, name);
        if (!File.Exists(file))
            return !Directory.Exists(file);
        var known = Lines().ToHashSet(StringComparer.Ordinal);
        return known.Contains(Line(Growing, name)) || known.Contains(Line(Sum(File.ReadAllBytes(file)), name));
    }

    /// <summary>Adds a content before the file is written, so that a kill between the two leaves no unlisted file.</summary>
    public void Add(string name, byte[] content) => Append(Line(Sum(content), name));

    /// <summary>Adds a file that grows.</summary>
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
