using Amari.Native;

namespace Amari.Kronecker;

/// <summary>A matrix M in the place of one Kronecker factor, by the way it is stored: [n, n], with a leading [groups] for grouped
/// layers.</summary>
internal abstract class FactorMatrix
{
    /// <summary>M V; a fresh tensor.</summary>
    public abstract Tensor TimesOnLeft(Tensor v);

    /// <summary>V M; a fresh tensor.</summary>
    public abstract Tensor TimesOnRight(Tensor v);

    /// <summary>M'.</summary>
    public abstract FactorMatrix Transposed { get; }

    /// <summary>What must be saved.</summary>
    /// <param name="name">Of the matrix.</param>
    public abstract IEnumerable<(string Name, Tensor Tensor)> Tensors(string name);

    /// <summary>The same of other tensors.</summary>
    public abstract FactorMatrix Map(Func<Tensor, Tensor> map);

    /// <summary>A tensor in a number type: itself, where it has it.</summary>
    private protected static Tensor In(ScalarType type, Tensor t) => t.dtype == type ? t : t.to_type(type);

    /// <summary>A matrix as it is, or the diagonal of one: [n].</summary>
    public static FactorMatrix Of(Tensor matrix) => matrix.dim() == 1 ? new DiagonalFactor(matrix) : new DenseFactor(matrix);

    /// <summary>c I.</summary>
    /// <param name="like">Has its shape, dtype and device.</param>
    /// <param name="scale">c : [1], or [groups, 1]; what is no number counts as 1.</param>
    public static Tensor Identity(Tensor like, Tensor scale) =>
        eye(like.shape[^1], dtype: like.dtype, device: like.device) * scale.nan_to_num(1, 1, 1).unsqueeze(-1);

    /// <summary>The mean eigenvalue of a matrix, or of the diagonal of one, with a last dimension of 1.</summary>
    public static Tensor MeanEigenvalue(Tensor matrix) =>
        (matrix.dim() == 1 ? matrix : matrix.diagonal(0, -2, -1)).mean([-1], keepdim: true);

    /// <summary>A saved matrix; null if there is none.</summary>
    /// <param name="name">Of the matrix.</param>
    /// <param name="find">A saved tensor by its name.</param>
    public static FactorMatrix? Restored(string name, Func<string, Tensor?> find) =>
        find(name) is not { } saved ? null
        : find(LowRankFactor.ScaleOf(name)) is { } scale ? new LowRankFactor(saved, scale)
        : Of(saved);
}

/// <summary>All of M.</summary>
internal sealed class DenseFactor(Tensor matrix) : FactorMatrix
{
    /// <summary>M.</summary>
    public Tensor Matrix => matrix;

    public override Tensor TimesOnLeft(Tensor v) => In(v.dtype, matrix.MatrixProduct(In(matrix.dtype, v)));

    public override Tensor TimesOnRight(Tensor v) => In(v.dtype, In(matrix.dtype, v).MatrixProduct(matrix));

    public override FactorMatrix Transposed => new DenseFactor(matrix.mT);

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors(string name) => [(name, matrix)];

    public override FactorMatrix Map(Func<Tensor, Tensor> map) => new DenseFactor(map(matrix));
}

/// <summary>M = diag(d).</summary>
/// <param name="diagonal">d : [n].</param>
internal sealed class DiagonalFactor(Tensor diagonal) : FactorMatrix
{
    public override Tensor TimesOnLeft(Tensor v) => In(v.dtype, diagonal.unsqueeze(-1).mul(In(diagonal.dtype, v)));

    public override Tensor TimesOnRight(Tensor v) => In(v.dtype, In(diagonal.dtype, v).mul(diagonal));

    public override FactorMatrix Transposed => this;

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors(string name) => [(name, diagonal)];

    public override FactorMatrix Map(Func<Tensor, Tensor> map) => new DiagonalFactor(map(diagonal));
}

/// <summary>M = c (I - P P'), of low rank but for a multiple of the identity.</summary>
/// <param name="root">P' : [rank, n].</param>
/// <param name="scale">c : [1].</param>
internal sealed class LowRankFactor(Tensor root, Tensor scale) : FactorMatrix
{
    /// <summary>P'.</summary>
    public Tensor Root => root;

    /// <summary>c.</summary>
    public Tensor Scale => scale;

    public override Tensor TimesOnLeft(Tensor v) => v.PlusProduct(root.t(), root.MatrixProduct(v), 1, -1).mul_(scale);

    public override Tensor TimesOnRight(Tensor v) => v.PlusProduct(v.MatrixProduct(root.t()), root, 1, -1).mul_(scale);

    public override FactorMatrix Transposed => this;

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors(string name) => [(name, root), (ScaleOf(name), scale)];

    public override FactorMatrix Map(Func<Tensor, Tensor> map) => new LowRankFactor(map(root), map(scale));

    /// <summary>The name that the scale of a matrix is saved under.</summary>
    public static string ScaleOf(string name) => name + nameof(Scale);
}
