using System.Runtime.CompilerServices;
using Amari.Native;

namespace Amari.Likelihoods;

/// <summary>Which kinds of Fisher are valid where.</summary>
internal static class FisherKinds
{
    /// <summary>The kinds of Fisher of a whole model. <see cref="FisherKind.ForwardOnly"/> is defined for single layers.</summary>
    public static FisherKind OfOutputs(FisherKind value, [CallerMemberName] string name = "") =>
        value != FisherKind.ForwardOnly
            ? Require.Defined(value, name)
            : throw Require.Error(
                name,
                value,
                "Exact, MonteCarlo, CurvaturePropagation or Empirical (ForwardOnly is defined for layers, in K-FAC)"
            );
}
