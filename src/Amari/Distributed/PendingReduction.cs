namespace Amari.Distributed;

/// <summary>An all-reduce in progress. Do not read, write or dispose its tensor before it has completed.</summary>
public abstract class PendingReduction
{
    /// <summary>Whether it has completed. Lets it progress if not.</summary>
    public abstract bool Test();

    /// <summary>Returns once the tensor holds the result. May be called again.</summary>
    public abstract void Wait();

    /// <summary>A completed reduction.</summary>
    internal static PendingReduction Done { get; } = new Ended();

    private sealed class Ended : PendingReduction
    {
        public override bool Test() => true;

        public override void Wait() { }
    }
}
