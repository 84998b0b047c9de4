namespace Amari.Curvature;

/// <summary>The targets of a forward pass for curvature, which determine the terms that count.</summary>
internal static class MeasuredTargets
{
    /// <summary>The targets on this thread; null if unknown. Not owned.</summary>
    [field: ThreadStatic]
    public static Tensor? Current { get; private set; }

    /// <summary>Sets the targets of measured forward passes on this thread until the result is disposed.</summary>
    public static IDisposable Show(Tensor? targets) => new Showing(targets);

    private sealed class Showing : IDisposable
    {
        private readonly Tensor? _outer = Current;

        public Showing(Tensor? targets) => Current = targets;

        public void Dispose() => Current = _outer;
    }
}
