namespace Amari.Solvers;

/// <summary>C⁻¹ by a Cholesky factorisation of the dense matrix, computed once. For small d.</summary>
public sealed class CholeskyInverse : InverseOperator, IDisposable
{
    private const long MaxBytes = 2L << 30; // per dense matrix
    private readonly Tensor _dense;
    private readonly Tensor? _inverse;
    private readonly InverseStatus _status;

    /// <param name="c">C, positive definite: a damped curvature. Not owned. Its matrix is computed here and kept until disposal.</param>
    /// <exception cref="ArgumentException">The matrix would need more than 2 GiB.</exception>
    public CholeskyInverse(LinearOperator c)
        : base(c)
    {
        long bytes = checked(Dimension * Dimension * Type.ElementSize());
        if (bytes > MaxBytes)
            throw new ArgumentException(
                $"A dense matrix of dimension {Dimension} needs {bytes >> 20} MiB, more than {MaxBytes >> 20}: use {nameof(CgInverse)}.",
                nameof(c)
            );
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var dense = c.ToDense();
        _dense = dense.add(dense.T).div_(2).DetachFromDisposeScope(); // removes the asymmetry of rounding
        (_inverse, var outcome) = SpdInverse.Cholesky(_dense);
        _inverse?.DetachFromDisposeScope();
        _status = outcome switch
        {
            FactorisationOutcome.Clean => InverseStatus.Solved,
            FactorisationOutcome.Failed => InverseStatus.Failed,
            _ => InverseStatus.Approximate,
        };
    }

    private protected override (Tensor X, InverseReport Report) Solve(Tensor b)
    {
        var x = _inverse?.mm(b) ?? full_like(b, double.NaN);
        using var r = b - _dense.mm(x);
        return (x, new(_status, 0, Relative(r, b)));
    }

    /// <summary>Frees the matrices.</summary>
    public void Dispose()
    {
        _dense.Dispose();
        _inverse?.Dispose();
    }
}
