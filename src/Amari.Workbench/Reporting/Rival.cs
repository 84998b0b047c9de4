namespace Amari.Reporting;

/// <summary>An optimizer that is compared with the leader of a <see cref="Contest"/>.</summary>
/// <param name="Summary">The optimizer.</param>
/// <param name="Test">Of its costs minus the leader's, by seed.</param>
/// <param name="P">The p of the test, corrected for the number of rivals.</param>
/// <param name="MoreSeeds">The number of further seeds that would show the difference if it stays as it is; null if there is none up to
/// 100.</param>
/// <param name="IsFar">Whether it is worse than the leader by a large factor on average.</param>
internal sealed record Rival(Summary Summary, PairedTest Test, double P, int? MoreSeeds, bool IsFar)
{
    /// <summary>Whether the leader is better beyond chance.</summary>
    public bool IsBeaten => P <= PairedTest.Level && Test.Mean > 0;

    /// <summary>The name of the optimizer.</summary>
    public string Name => Summary.Optimizer;
}
