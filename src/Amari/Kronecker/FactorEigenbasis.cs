using Amari.Solvers;

namespace Amari.Kronecker;

/// <summary>The eigenvectors and eigenvalues of one Kronecker factor, Q diag(q) Q'.</summary>
/// <param name="vectors">Q : [n, n], or ones [n] for the identity, which a diagonal factor has.</param>
/// <param name="values">q : [n].</param>
internal sealed class FactorEigenbasis(Tensor vectors, Tensor values)
{
    /// <summary>Q.</summary>
    public Tensor Vectors => vectors;

    /// <summary>q.</summary>
    public Tensor Values => values;

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
            if (eigen is var (q, d))
                return new(q, d);
            if (last is not null)
                return last.Map(t => t.clone());
            var mean = FactorMatrix.MeanEigenvalue(factor);
            return new(FactorMatrix.Identity(factor, ones_like(mean)), mean.expand(factor.shape[..^1]).clone());
        }
    }

    /// <summary>Q, to multiply by.</summary>
    public FactorMatrix Matrix => FactorMatrix.Of(vectors);

    /// <summary>The same of other tensors.</summary>
    public FactorEigenbasis Map(Func<Tensor, Tensor> map) => new(map(vectors), map(values));
}
