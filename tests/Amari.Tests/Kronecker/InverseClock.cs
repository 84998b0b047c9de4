namespace Amari.Tests.Kronecker;

/// <summary>Three looks are one measurement: Cholesky takes place before the second, the iteration before the third.</summary>
internal sealed class InverseClock(int cholesky, int iteration, int first = 0) : TimeProvider
{
    private long _now;
    private int _looks;

    public override long TimestampFrequency => 1000;

    public override long GetTimestamp() =>
        _now += (_looks++ - first) switch
        {
            < 0 => 0,
            var i => (i % 3) switch
            {
                1 => cholesky,
                2 => iteration,
                _ => 0,
            },
        };

    /// <summary>A step of the optimizer begins, which looks at the clock thrice before it inverts.</summary>
    public void Begin() => _looks = 0;
}
