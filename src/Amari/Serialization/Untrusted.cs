using System.Runtime.InteropServices;
using System.Text.Json;

namespace Amari.Serialization;

/// <summary>Reads files with untrusted content.</summary>
internal static class Untrusted
{
    /// <summary>Runs a reader on a file that may hold values of a wrong type, number or size.</summary>
    /// <param name="what">What is read: the subject of the message.</param>
    /// <param name="read">The reader.</param>
    /// <exception cref="InvalidDataException">A value is malformed. The message says which.</exception>
    public static T Read<T>(string what, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e)
            when (e
                    is JsonException
                        or InvalidOperationException
                        or FormatException
                        or OverflowException
                        or ArgumentException
                        or InvalidCastException
                        or NullReferenceException
                        or KeyNotFoundException
                        or IndexOutOfRangeException
                        or ExternalException
            )
        {
            string why = e is NullReferenceException or IndexOutOfRangeException
                ? "a value is missing."
                : e.Message.Split(" (Parameter")[0].Split('\n')[0].Trim();
            throw new InvalidDataException($"{what} is malformed: {why}", e);
        }
    }

    /// <inheritdoc cref="Read{T}"/>
    public static void Read(string what, Action read) =>
        Read(
            what,
            () =>
            {
                read();
                return true;
            }
        );
}
