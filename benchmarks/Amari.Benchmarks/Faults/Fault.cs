namespace Amari.Benchmarks.Faults;

/// <summary>One fault that was injected, and what became of it.</summary>
/// <param name="What">In a few words, enough to repeat it together with the seed.</param>
/// <param name="Loss">What was lost, broken or passed over in silence; null for nothing.</param>
internal sealed record Fault(string What, string? Loss);

/// <summary>Faults of one kind.</summary>
internal interface IFaultKind
{
    /// <summary>By which <c>--kinds</c> names it.</summary>
    string Name { get; }

    /// <summary>What Amari promises under it.</summary>
    string Promise { get; }

    /// <summary>Why it cannot be tried on this machine; null where it can.</summary>
    string? Missing { get; }

    /// <summary>Injects faults and looks at what is left.</summary>
    /// <param name="folder">An empty one, for the kind alone.</param>
    /// <param name="random">Where and when.</param>
    /// <param name="repeats">How often each is tried, ≥ 1.</param>
    IEnumerable<Fault> Inject(string folder, Random random, int repeats);
}
