using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Spectrum;

namespace Amari;

/// <summary>How the diagonal of the curvature is estimated. Both estimates are unbiased.</summary>
public enum DiagonalEstimate
{
    /// <summary>Gauss-Newton-Bartlett: <c>B ĝ ∘ ĝ</c>, where ĝ is the mean gradient over B terms with targets drawn from the model. It is
    /// at least 0.</summary>
    GaussNewtonBartlett,

    /// <summary>Hutchinson: <c>z ∘ H z</c> for random signs z and the Hessian H. It may be negative.</summary>
    Hutchinson,
}
