using Amari.Native;

namespace Amari.Kronecker;

/// <summary>A matrix M in the place of one Kronecker factor, by the way it is stored: [n, n], with a leading [groups] for grouped
/// layers.</summary>
internal abstract record FactorMatrix
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
internal sealed record DenseFactor(Tensor Matrix) : FactorMatrix
{
    public override Tensor TimesOnLeft(Tensor v) => Matrix.MatrixProduct(v.to_type(Matrix.dtype)).to_type(v.dtype);

    public override Tensor TimesOnRight(Tensor v) => v.to_type(Matrix.dtype).MatrixProduct(Matrix).to_type(v.dtype);

    public override FactorMatrix Transposed => new DenseFactor(Matrix.mT);

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors(string name) => [(name, Matrix)];

    public override FactorMatrix Map(Func<Tensor, Tensor> map) => new DenseFactor(map(Matrix));
}

/// <summary>M = diag(d).</summary>
/// <param name="Diagonal">d : [n].</param>
internal sealed record DiagonalFactor(Tensor Diagonal) : FactorMatrix
{
    public override Tensor TimesOnLeft(Tensor v) => Diagonal.unsqueeze(-1).mul(v.to_type(Diagonal.dtype)).to_type(v.dtype);

    public override Tensor TimesOnRight(Tensor v) => v.to_type(Diagonal.dtype).mul(Diagonal).to_type(v.dtype);

    public override FactorMatrix Transposed => this;

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors(string name) => [(name, Diagonal)];

    public override FactorMatrix Map(Func<Tensor, Tensor> map) => new DiagonalFactor(map(Diagonal));
}

/// <summary>M = c (I - P P'), of low rank but for a multiple of the identity.</summary>
/// <param name="Root">P' : [rank, n].</param>
/// <param name="Scale">c : [1].</param>
internal sealed record LowRankFactor(Tensor Root, Tensor Scale) : FactorMatrix
{
    public override Tensor TimesOnLeft(Tensor v) => v.addmm(Root.t(), Root.mm(v), 1, -1).mul_(Scale);

    public override Tensor TimesOnRight(Tensor v) => v.addmm(v.mm(Root.t()), Root, 1, -1).mul_(Scale);

    public override FactorMatrix Transposed => this;

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors(string name) => [(name, Root), (ScaleOf(name), Scale)];

    public override FactorMatrix Map(Func<Tensor, Tensor> map) => new LowRankFactor(map(Root), map(Scale));

    /// <summary>The name that the scale of a matrix is saved under.</summary>
    public static string ScaleOf(string name) => name + nameof(Scale);
}
