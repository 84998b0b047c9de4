namespace Amari.Tests.Training;

/// <summary>Checkpoints of an earlier version go on.</summary>
public sealed class OlderStateTests
{
    [Fact(Explicit = true)]
    public void Write_the_fixture() => OlderState.Write(OlderState.File);
}
