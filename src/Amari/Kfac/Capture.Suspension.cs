namespace Amari;

// Which forward passes are training.
internal sealed partial class Capture
{
    [ThreadStatic] private static int _suspended;
    [ThreadStatic] private static Capture? _exempt;

    /// <summary>Until it is disposed, forward passes on this thread are not training: curvature that is measured next to K-FAC leaves no
    /// trace in it.</summary>
    public static IDisposable Suspend() => new Suspension(null);

    /// <summary>Whether forward passes on this thread are not training.</summary>
    public static bool IsSuspended => _suspended > 0;

    /// <summary>Until it is disposed, this capture alone sees the forward passes on this thread.</summary>
    public IDisposable SuspendOthers() => new Suspension(this);

    private sealed class Suspension : IDisposable
    {
        private readonly Capture? _outer = _exempt;

        public Suspension(Capture? exempt) => (_suspended, _exempt) = (_suspended + 1, exempt);
        public void Dispose() => (_suspended, _exempt) = (_suspended - 1, _outer);
    }

    private bool Sees => is_grad_enabled() && (_measuring || _suspended == 0 || ReferenceEquals(_exempt, this));
}
