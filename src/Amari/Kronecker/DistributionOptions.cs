using Amari.Native;

namespace Amari;

/// <summary>How the ranks of a communicator share the inverses of the layers.</summary>
public sealed record DistributionOptions
{
    /// <summary>f in [0, 1]: share of the ranks that hold a layer's inverse: 0 (one rank, memory-lean) to 1 (all,
    /// communication-lean), in KAISA.</summary>
    public double GradWorkerFraction
    {
        get;
        init => field = Require.Fraction(value);
    } = 1;

    /// <summary>Which of the holders compute an inverse.</summary>
    public InverseWork InverseWork
    {
        get;
        init => field = Require.Defined(value);
    }
}
