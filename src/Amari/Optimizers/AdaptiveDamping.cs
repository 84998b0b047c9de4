using Amari.Native;

namespace Amari;

/// <summary>Adapts λ to how well a quadratic model predicts the loss (Levenberg-Marquardt; Martens and Grosse 2015, arXiv:1503.05671,
/// §6.5). Every T steps, λ ← ωᵀ λ if the loss fell by more than 3/4 of the reduction that is predicted without damping, and λ ← λ / ωᵀ if
/// it fell by less than 1/4 of it.</summary>
public record AdaptiveDamping
{
    /// <summary>ω in (0, 1).</summary>
    public double Decay
    {
        get;
        init => field = Require.Share(value);
    } = 0.95;

    /// <summary>T ≥ 1.</summary>
    public int Interval
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 5;
}
