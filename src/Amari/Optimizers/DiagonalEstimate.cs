using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Spectrum;

namespace Amari;

/// <summary>How the diagonal of the curvature is estimated; both without bias.</summary>
public enum DiagonalEstimate
{
    /// <summary>Gauss-Newton-Bartlett: <c>B ĝ ∘ ĝ</c>, ĝ the mean gradient over B terms whose targets are drawn from the model. At least
    /// 0.</summary>
    GaussNewtonBartlett,

    /// <summary>Hutchinson: <c>z ∘ H z</c> for random signs z, H the Hessian. Of either sign.</summary>
    Hutchinson,
}
