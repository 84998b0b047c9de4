using System.Runtime.CompilerServices;
using Amari.Native;

namespace Amari.Likelihoods;

/// <summary>Which Fisher goes where.</summary>
internal static class FisherKinds
{
    /// <summary>A Fisher of the whole model; <see cref="FisherKind.ForwardOnly"/> is of single layers.</summary>
    public static FisherKind OfOutputs(FisherKind value, [CallerMemberName] string name = "") =>
        value != FisherKind.ForwardOnly
            ? Require.Defined(value, name)
            : throw Require.Error(name, value, "Exact, MonteCarlo, CurvaturePropagation or Empirical: ForwardOnly is of layers, for K-FAC");
}
