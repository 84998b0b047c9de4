using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>A sketch of the range of C that also gives the sketch without any one of its k probes (Epperly, Tropp, Webber 2024, Section 2):
/// Q₍ᵢ₎Q₍ᵢ₎' = Q (I - sᵢsᵢ') Q'. Its tensors belong to the caller's dispose scope.</summary>
/// <remarks><code>
/// Y = C Ω / c = Q R,   Z = C Q / c,   S = R⁻' with columns of length 1
/// </code>c is the size of C Ω, a power of two: squares and inverses are then representable for any scale of C.</remarks>
internal sealed class LeaveOneOut
{
    /// <param name="op">C.</param>
    /// <param name="omega">Ω : [d, k], k ≤ d.</param>
    public LeaveOneOut(LinearOperator op, Tensor omega)
    {
        Omega = omega;
        Y = op.Apply(omega);
        Scale = Probes.Size(Y);
        Y.div_(Scale);
        (Q, R) = linalg.qr(Y);
        var safe = R.clone(); // if the rank of C is below k, R has zeros on its diagonal
        double floor = finfo(R.dtype).eps * R.abs().max().ToDouble();
        var diagonal = safe.diagonal();
        diagonal.copy_(where(diagonal.abs() <= floor, full_like(diagonal, floor > 0 ? floor : 1), diagonal));
        var inverse = linalg.solve_triangular(safe, eye(R.shape[0], dtype: R.dtype, device: R.device), upper: true).T;
        S = inverse / inverse.norm(0, keepdim: true);
        Z = op.Apply(Q).div_(Scale);
    }

    /// <summary>c.</summary>
    public double Scale { get; }

    public Tensor Omega { get; }
    public Tensor Y { get; }
    public Tensor Q { get; }
    public Tensor R { get; }
    public Tensor Z { get; }
    public Tensor S { get; }

    /// <summary>(I - sᵢsᵢ') aᵢ for the columns of A : [k, k].</summary>
    public Tensor Without(Tensor a) => a - S * S.mul(a).sum(dim: 0, keepdim: true);
}
