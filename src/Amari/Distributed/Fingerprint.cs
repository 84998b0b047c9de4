using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Amari.Distributed;

/// <summary>Facts by name that must be the same on all ranks. They are compared before the first step, because different ranks would train
/// to a meaningless result.</summary>
internal sealed class Fingerprint
{
    private const int MaxShown = 3; // number of differences that a message lists
    private readonly List<(string Name, string Value)> _facts = [];

    /// <summary>Adds a fact.</summary>
    /// <param name="name">The name in messages; unique.</param>
    /// <param name="value">The value, formatted as text.</param>
    public Fingerprint Add(string name, object? value)
    {
        _facts.Add(
            (name, Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture) is { Length: > 0 } text ? text : "none")
        );
        return this;
    }

    /// <summary>Adds facts by name.</summary>
    /// <param name="facts">Names and values.</param>
    /// <param name="prefix">Prefix of each name.</param>
    public Fingerprint Add(IEnumerable<KeyValuePair<string, string>> facts, string prefix = "")
    {
        foreach (var (name, value) in facts)
            Add(prefix + name, value);
        return this;
    }

    /// <summary>Adds the builds of the running code.</summary>
    public Fingerprint AddCode(params IEnumerable<Assembly?> others)
    {
        foreach (var assembly in others.Prepend(typeof(torch).Assembly).Prepend(typeof(Fingerprint).Assembly).OfType<Assembly>().Distinct())
            Add(
                $"the build of {assembly.GetName().Name}",
                $"{assembly.GetName().Version?.ToString(3)} ({assembly.ManifestModule.ModuleVersionId.ToString("n")[..8]})"
            );
        return this;
    }

    /// <summary>Throws, on all ranks, if a fact is not the same on all.</summary>
    /// <param name="ranks">The ranks; all call it.</param>
    /// <exception cref="UnlikeRanksException">Ranks differ. The message names the facts, their values and the ranks.</exception>
    public void Agree(Communicator ranks)
    {
        if (ranks.Size == 1)
            return;
        string text = JsonSerializer.Serialize(_facts.Select(f => (string[])[f.Name, f.Value]));
        if (AreEqual(ranks, SHA256.HashData(Encoding.UTF8.GetBytes(text))))
            return;
        var all = ranks
            .AllGather(text)
            .Select(t => JsonSerializer.Deserialize<string[][]>(t)!.GroupBy(f => f[0]).ToDictionary(g => g.Key, g => g.First()[1]))
            .ToList();
        var differing = all.SelectMany(r => r.Keys)
            .Distinct()
            .Where(name => all.Select(r => r.GetValueOrDefault(name)).Distinct().Count() > 1)
            .ToList();
        string shown = string.Join("; ", differing.Take(MaxShown).Select(name => $"{name} is {Values(all, name)}"));
        throw new UnlikeRanksException(
            $"The ranks were started differently: {shown}{(differing.Count > MaxShown ? $"; and {differing.Count - MaxShown} more" : "")}."
        );
    }

    private static bool AreEqual(Communicator ranks, byte[] hash)
    {
        using var scope = NewDisposeScope();
        var all = empty(ranks.Size * hash.Length, dtype: ScalarType.Byte);
        ranks.AllGather(tensor(hash), all);
        return all.view(ranks.Size, -1).eq(tensor(hash)).all().ToBoolean();
    }

    /// <summary><c>0.1 on rank 0 and 0.2 on ranks 1, 2</c>.</summary>
    private static string Values(List<Dictionary<string, string>> all, string name)
    {
        var values = Enumerable
            .Range(0, all.Count)
            .GroupBy(r => all[r].GetValueOrDefault(name))
            .Select(g =>
                $"{g.Key ?? "missing"} on {(g.Count() == 1 ? "rank" : "ranks")} "
                + $"{string.Join(", ", g.Take(8))}{(g.Count() > 8 ? ", .." : "")}"
            )
            .ToList();
        return values.Count == 1 ? values[0] : $"{string.Join(", ", values.SkipLast(1))} and {values[^1]}";
    }
}

/// <summary>Thrown on every rank, with the same message.</summary>
internal sealed class UnlikeRanksException(string message) : ArgumentException(message);
