using System.Runtime;

namespace Amari.Training;

/// <summary>Detects when .NET has finished compiling the methods of a loop. It compiles methods two or more times as calls accumulate, on a
/// core that the loop needs. In the first two seconds of a process, a step of milliseconds takes at least twice its time.</summary>
internal sealed class Compilation
{
    private const double QuietSeconds = 0.5; // seconds with few methods compiled
    private const int MaxMethods = 8; // methods compiled in that time

    private int _compiled;
    private double _since;

    /// <summary>Whether compilation has finished. Call it after every step.</summary>
    /// <param name="seconds">Seconds since the loop started.</param>
    public bool IsOver(double seconds)
    {
        int now = (int)JitInfo.GetCompiledMethodCount();
        if (now - _compiled > MaxMethods)
            (_compiled, _since) = (now, seconds);
        return seconds - _since >= QuietSeconds;
    }
}
