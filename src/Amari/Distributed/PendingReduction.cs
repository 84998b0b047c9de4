namespace Amari.Distributed;

/// <summary>An all-reduce under way. Its tensor is neither to be read, written nor disposed before it has ended.</summary>
public abstract class PendingReduction
{
    /// <summary>Whether it has ended; moves it on if not.</summary>
    public abstract bool Test();

    /// <summary>Returns when the tensor holds the result. May be called again.</summary>
    public abstract void Wait();

    /// <summary>One that has ended already.</summary>
    internal static PendingReduction Done { get; } = new Ended();

    private sealed class Ended : PendingReduction
    {
        public override bool Test() => true;

        public override void Wait() { }
    }
}
