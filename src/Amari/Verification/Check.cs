using Amari.Curvature;

namespace Amari.Verification;

/// <summary>One thing held against its oracle, for one parameter.</summary>
/// <param name="Name">What was checked: <c>gradient</c>, <c>hessian product</c>, ...</param>
/// <param name="Parameter">Its parameter or layer; <c>output</c> for the likelihood's own, <c>all</c> for what cannot be computed.</param>
/// <param name="RelativeError">Norm of the difference over the norm of the oracle's value.</param>
/// <param name="Outcome">What came of it.</param>
/// <param name="Oracle">What it was held against.</param>
/// <param name="Note">One sentence where there is something to say; else empty.</param>
public sealed record Check(string Name, string Parameter, double RelativeError, CheckOutcome Outcome, string Oracle, string Note = "")
{
    /// <summary>The parameter of a check that is of none, or of all.</summary>
    internal const string All = "all";

    /// <summary>Whether it agrees.</summary>
    public bool Passed => Outcome == CheckOutcome.Passed;

    /// <summary>How many decimal digits agree, 0 to 16.</summary>
    public int Digits =>
        RelativeError <= 0 ? 16
        : double.IsFinite(RelativeError) ? Math.Clamp((int)Math.Floor(-Math.Log10(RelativeError)), 0, 16)
        : 0;
}
