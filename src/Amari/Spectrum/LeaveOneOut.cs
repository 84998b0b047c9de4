using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>A sketch of the range of C that also gives the sketch without any one of its k probes (Epperly, Tropp, Webber 2024, Section 2):
/// Q₍ᵢ₎Q₍ᵢ₎' = Q (I - sᵢsᵢ') Q'. Its tensors belong to the caller's dispose scope.</summary>
/// <remarks><code>
/// Y = C Ω / c = Q R,   Z = C Q / c,   S = R⁻' with columns of length 1
/// </code>c is the size of C Ω, a power of two: squares and inverses are then representable for any scale of C. Matrices with d rows are
/// stored transposed, those of k rows in float64.</remarks>
internal sealed class LeaveOneOut
{
    /// <param name="op">C.</param>
    /// <param name="omega">Ω' : [k, d], k ≤ d.</param>
    public LeaveOneOut(LinearOperator op, Tensor omega)
    {
        Omega = omega;
        Q = op.ApplyToRows(omega);
        Scale = Probes.Size(Q);
        Q.div_(Scale);
        R = CholeskyQr.Run(Q);
        var safe = R.clone(); // if the rank of C is below k, R has zeros on its diagonal
        double floor = finfo(Q.dtype).eps * R.abs().max().ToDouble();
        var diagonal = safe.diagonal();
        diagonal.copy_(where(diagonal.abs() <= floor, full_like(diagonal, floor > 0 ? floor : 1), diagonal));
        var inverse = linalg.solve_triangular(safe, eye(R.shape[0], dtype: R.dtype, device: R.device), upper: true).T;
        S = inverse / inverse.norm(0, keepdim: true);
        Z = op.ApplyToRows(Q).div_(Scale);
    }

    /// <summary>c.</summary>
    public double Scale { get; }

    /// <summary>Ω'.</summary>
    public Tensor Omega { get; }

    /// <summary>Q'.</summary>
    public Tensor Q { get; }

    /// <summary>R.</summary>
    public Tensor R { get; }

    /// <summary>Z'.</summary>
    public Tensor Z { get; }

    /// <summary>S.</summary>
    public Tensor S { get; }

    /// <summary>(I - sᵢsᵢ') aᵢ for the columns of A : [k, k].</summary>
    public Tensor Without(Tensor a) => a - S * S.mul(a).sum(dim: 0, keepdim: true);
}
