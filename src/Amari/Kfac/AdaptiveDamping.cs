using Amari.Native;

namespace Amari;

/// <summary>λ follows how well a quadratic model predicts the loss (Levenberg-Marquardt; Martens and Grosse 2015, arXiv:1503.05671, §6.5):
/// every T steps λ ← ωᵀ λ where the loss fell by over 3/4 of what was promised without damping, λ / ωᵀ where by less than
/// 1/4.</summary>
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
