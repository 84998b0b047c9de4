using System.Collections.Concurrent;

namespace Amari.Native;

/// <summary>Lines on standard error for what a user would otherwise overlook, each once in a process.</summary>
internal static class Warnings
{
    private static readonly ConcurrentDictionary<string, byte> Written = new();

    /// <summary>Writes one line, unless it was written before.</summary>
    /// <param name="message">What happened, and the remedy.</param>
    /// <returns>Whether it was written now.</returns>
    public static bool Once(string message)
    {
        if (!Written.TryAdd(message, 0))
            return false;
        Console.Error.WriteLine($"Amari: {message.ReplaceLineEndings(" ")}");
        return true;
    }
}
