using Amari.Solvers;

namespace Amari.Kronecker;

/// <summary>The eigenvectors and eigenvalues of one Kronecker factor, Q diag(q) Q'.</summary>
/// <param name="Vectors">Q : [n, n], or ones [n] for the identity, which a diagonal factor has.</param>
/// <param name="Values">q : [n].</param>
internal sealed record FactorEigenbasis(Tensor Vectors, Tensor Values)
{
    /// <summary>That of a factor; where the decomposition fails, of the last one, and without it, of a multiple of the identity. The caller
    /// owns it.</summary>
    public static (FactorEigenbasis Basis, FactorisationOutcome Outcome) Of(Tensor factor, FactorEigenbasis? last)
    {
        using var scope = NewDisposeScope();
        var outcome = FactorisationOutcome.Clean;
        var basis = factor.dim() == 1 ? new(ones_like(factor), factor.clone()) : Decomposed();
        return (basis.Map(t => t.contiguous().DetachFromDisposeScope()), outcome);

        FactorEigenbasis Decomposed()
        {
            (var eigen, outcome) = SpdInverse.Eigh(factor);
            if (eigen is var (vectors, values))
                return new(vectors, values);
            if (last is not null)
                return last.Map(t => t.clone());
            var mean = FactorMatrix.MeanEigenvalue(factor);
            return new(FactorMatrix.Identity(factor, ones_like(mean)), mean.expand(factor.shape[..^1]).clone());
        }
    }

    /// <summary>Q.</summary>
    public FactorMatrix Matrix => FactorMatrix.Of(Vectors);

    /// <summary>The same of other tensors.</summary>
    public FactorEigenbasis Map(Func<Tensor, Tensor> map) => new(map(Vectors), map(Values));
}
