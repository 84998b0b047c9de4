namespace Amari.Curvature;

/// <summary>The targets that a forward pass for curvature is of: which of its terms count.</summary>
internal static class MeasuredTargets
{
    /// <summary>Those on this thread; null where they are not known. Not owned.</summary>
    [field: ThreadStatic]
    public static Tensor? Current { get; private set; }

    /// <summary>Until it is disposed, forward passes on this thread that are measured are of these targets.</summary>
    public static IDisposable Show(Tensor? targets) => new Showing(targets);

    private sealed class Showing : IDisposable
    {
        private readonly Tensor? _outer = Current;

        public Showing(Tensor? targets) => Current = targets;

        public void Dispose() => Current = _outer;
    }
}
