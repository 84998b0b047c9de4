namespace Amari.Kronecker;

/// <summary>An inverse in the eigenbasis of A and G with measured eigenvalues: EKFAC (George et al. 2018, arXiv:1806.03884).</summary>
/// <remarks><code>
/// Apply(V) = Q_G [(Q_G' V Q_A) / (S + λ)] Q_A'
/// </code>S is what the block measured; a <see cref="CurvatureBlock"/> keeps it apart and makes this of it.</remarks>
/// <param name="basis">Of the last refresh.</param>
/// <param name="eigenvalues">S : [out, in+1], second moments of the terms' gradients in that basis.</param>
internal sealed class CorrectedInverse(EigenbasisInverse basis, Tensor eigenvalues) : BlockInverse
{
    /// <summary>Of the last refresh.</summary>
    public EigenbasisInverse Basis => basis;

    /// <summary>S.</summary>
    public Tensor Eigenvalues => eigenvalues;

    public const string Values = nameof(Values); // as saved

    public override double MeanEigenvalue => Eigenvalues.mean().ToDouble();

    public override Tensor Apply(Tensor v, double damping) => Basis.Apply(v, Eigenvalues, damping);

    /// <summary>The undamped matrix times V; a fresh tensor.</summary>
    public Tensor Multiply(Tensor v) => Basis.Multiply(v, Eigenvalues);

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors() => Basis.Tensors().Append((Values, Eigenvalues));

    public override BlockInverse Map(Func<Tensor, Tensor> map) => new CorrectedInverse(Basis.Map(map), map(Eigenvalues));

    /// <summary>Of a basis and the saved eigenvalues; null if there are none.</summary>
    public static CorrectedInverse? Restored(EigenbasisInverse basis, Func<string, Tensor?> find) =>
        find(Values) is { } saved ? new(basis, saved) : null;
}
