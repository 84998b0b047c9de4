using Amari.Training;

namespace Amari.Tests.Training;

public sealed class MachineTests
{
    [Theory, InlineData(1, 2, "1 of 2 cores"), InlineData(2, 2, "2 cores"), InlineData(1, 1, "1 core"), InlineData(1, null, "1 core")]
    public void A_share_of_the_machine_is_named(int cores, int? system, string expected) =>
        Assert.Equal(expected, Machine.InWords(cores, system));
}
