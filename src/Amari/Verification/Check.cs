using Amari.Curvature;

namespace Amari.Verification;

/// <summary>One quantity checked against its oracle, for one parameter.</summary>
/// <param name="Name">The quantity: <c>gradient</c>, <c>hessian product</c>, ...</param>
/// <param name="Parameter">The parameter or layer; <c>output</c> for the likelihood's quantities, <c>all</c> for quantities that cannot be
/// computed.</param>
/// <param name="RelativeError">Norm of the difference over the norm of the oracle's value.</param>
/// <param name="Outcome">The outcome.</param>
/// <param name="Oracle">The oracle.</param>
/// <param name="Note">One sentence of explanation; empty if none is needed.</param>
public sealed record Check(string Name, string Parameter, double RelativeError, CheckOutcome Outcome, string Oracle, string Note = "")
{
    /// <summary>The parameter of a check that concerns no parameter, or all.</summary>
    internal const string All = "all";

    /// <summary>Whether it agrees with its oracle.</summary>
    public bool Passed => Outcome == CheckOutcome.Passed;

    /// <summary>The number of decimal digits that agree, 0 to 16.</summary>
    public int Digits =>
        RelativeError <= 0 ? 16
        : double.IsFinite(RelativeError) ? Math.Clamp((int)Math.Floor(-Math.Log10(RelativeError)), 0, 16)
        : 0;
}
