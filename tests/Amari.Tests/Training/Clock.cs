using Amari.Ranks;

namespace Amari.Tests.Training;

/// <summary>A clock that stands until it is moved.</summary>
internal sealed class Clock : TimeProvider
{
    public long Now { get; set; }
    public override long TimestampFrequency => 1000;

    public override long GetTimestamp() => Now;
}
