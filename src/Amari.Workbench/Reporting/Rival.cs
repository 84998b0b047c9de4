namespace Amari.Reporting;

/// <summary>An optimizer that is compared with the leader of a <see cref="Contest"/>.</summary>
/// <param name="Summary">The optimizer.</param>
/// <param name="Test">Of its costs minus the leader's, by seed.</param>
/// <param name="P">The p of the test, corrected for the number of rivals.</param>
/// <param name="MoreSeeds">The number of further seeds that would show the difference if it stays as it is; null if there is none up to
/// 100.</param>
internal sealed record Rival(Summary Summary, PairedTest Test, double P, int? MoreSeeds)
{
    /// <summary>Whether it can be recommended with the leader.</summary>
    public bool MayWin { get; init; } = true;

    /// <summary>Whether it is worse than the leader by a large factor on average.</summary>
    public bool IsFar { get; init; }

    /// <summary>Whether it is worse than the leader in every common seed, of which there are at least three.</summary>
    public bool IsWorseInAll { get; init; }

    /// <summary>Whether <see cref="P"/> is corrected for further rivals, but the interval of the test is not.</summary>
    public bool IsCorrected { get; init; }

    /// <summary>Whether the leader is better beyond chance.</summary>
    public bool IsBeaten => P <= PairedTest.Level && Test.Mean > 0;

    /// <summary>Whether it cannot be told apart from the leader, and may be recommended with it.</summary>
    public bool IsTied => MayWin && Test.IsPossible && !IsBeaten && !IsFar && !IsWorseInAll;

    /// <summary>Whether it is clearly worse than the leader in these seeds, but varies too much for the test.</summary>
    public bool IsUnclear => Test.IsPossible && !IsBeaten && (IsFar || IsWorseInAll);

    /// <summary>The name of the optimizer.</summary>
    public string Name => Summary.Optimizer;
}
