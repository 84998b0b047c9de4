using Amari.Native;

namespace Amari;

/// <summary>How the ranks of a communicator share the inverses of the layers.</summary>
public sealed record DistributionOptions
{
    /// <summary>f in [0, 1]: the share of the ranks that hold the inverse of a layer, as in KAISA. 0 means one rank (least memory), 1 all
    /// ranks (least communication).</summary>
    public double GradWorkerFraction
    {
        get;
        init => field = Require.Fraction(value);
    } = 1;

    /// <summary>Which of the ranks that hold an inverse compute it.</summary>
    public InverseWork InverseWork
    {
        get;
        init => field = Require.Defined(value);
    }
}
