namespace Amari.Native;

/// <summary>Which forward passes on this thread are training: what watches them (K-FAC, sending during the backward pass) leaves others
/// alone.</summary>
internal static class TrainingPasses
{
    [ThreadStatic]
    private static int _suspended;

    [ThreadStatic]
    private static object? _exempt;

    /// <summary>Whether forward passes on this thread are not training.</summary>
    public static bool AreSuspended => _suspended > 0;

    /// <summary>Until it is disposed, forward passes on this thread are not training, but for one watcher: curvature that is measured next
    /// to an optimizer leaves no trace in it.</summary>
    /// <param name="exempt">The watcher; null for none.</param>
    public static IDisposable Suspend(object? exempt = null) => new Suspension(exempt);

    /// <summary>Whether a watcher is to see forward passes on this thread.</summary>
    public static bool AreSeenBy(object watcher) => _suspended == 0 || ReferenceEquals(_exempt, watcher);

    private sealed class Suspension : IDisposable
    {
        private readonly object? _outer = _exempt;

        public Suspension(object? exempt) => (_suspended, _exempt) = (_suspended + 1, exempt);

        public void Dispose() => (_suspended, _exempt) = (_suspended - 1, _outer);
    }
}
