using System.Runtime;

namespace Amari.Training;

/// <summary>Whether .NET has compiled what a loop calls. It compiles methods twice and more as calls add up, on a core that the loop itself
/// needs: in a process's first two seconds a step of milliseconds takes twice its time and more.</summary>
internal sealed class Compilation
{
    private const double Quiet = 0.5; // seconds with hardly a method compiled
    private const int Hardly = 8; // methods

    private int _compiled;
    private double _since;

    /// <summary>Whether it is over; to be asked after every step.</summary>
    /// <param name="seconds">Since the loop began.</param>
    public bool IsOver(double seconds)
    {
        int now = (int)JitInfo.GetCompiledMethodCount();
        if (now - _compiled > Hardly)
            (_compiled, _since) = (now, seconds);
        return seconds - _since >= Quiet;
    }
}
