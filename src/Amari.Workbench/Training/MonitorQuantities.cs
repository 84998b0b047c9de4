using Amari.Native;

namespace Amari.Training;

/// <summary>The quantities that a <see cref="CurvatureMonitor"/> measures.</summary>
[Flags]
public enum MonitorQuantities
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The largest eigenvalue of the Hessian, with the bound above which gradient descent is unstable.</summary>
    Sharpness = 1,

    /// <summary>The largest eigenvalues of the Hessian.</summary>
    Spectrum = 2,

    /// <summary>The gradient noise scale.</summary>
    Noise = 4,

    /// <summary>The KL divergence between the predictions before and after a step.</summary>
    Kl = 8,

    /// <summary>The condition numbers of K-FAC's factors.</summary>
    Factors = 16,

    /// <summary>Everything.</summary>
    All = Sharpness | Spectrum | Noise | Kl | Factors,
}
