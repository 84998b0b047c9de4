namespace Amari.Workloads;

/// <summary>The memory that a fully connected network needs. Without enough of it, the system ends the process.</summary>
internal static class NetworkMemory
{
    private const double Gigabyte = 1L << 30;

    /// <summary>Refuses a network that does not fit, before it is made.</summary>
    /// <remarks>Counted are the weights with their gradients, and the values of each unit before and after its activation. The state of the
    /// optimizer comes on top.</remarks>
    /// <param name="settings">The settings that the network and its examples follow from, as on the command line.</param>
    /// <param name="sizes">Inputs, units of each hidden layer, and outputs.</param>
    /// <param name="examples">The number of examples that pass through it at once.</param>
    /// <param name="type">Its dtype.</param>
    /// <exception cref="ArgumentException">It needs more memory than there is.</exception>
    public static void Require(string settings, IReadOnlyList<int> sizes, double examples, ScalarType type)
    {
        double parameters = sizes.Zip(sizes.Skip(1), (from, to) => (from + 1.0) * to).Sum(),
            bytes = 2.0 * type.ElementSize() * (parameters + examples * sizes.Sum(s => (double)s)),
            available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (bytes > available)
            throw new ArgumentException(
                FormattableString.Invariant(
                    $"With {settings}, training {parameters:N0} parameters on {examples:N0} examples at once needs at least "
                ) + FormattableString.Invariant($"{bytes / Gigabyte:N1} GiB; this machine has {available / Gigabyte:N1} GiB.")
            );
    }
}
