using Amari.Kronecker;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Each way to store a factor against the dense matrix.</summary>
public sealed class FactorMatrixTests() : KfacTest(11)
{
    private const long N = 5,
        Rows = 3;

    public static TheoryData<string> Kinds => ["dense", "diagonal", "low rank", "grouped"];

    /// <summary>A matrix, and the same as all of its entries.</summary>
    private static (FactorMatrix Matrix, Tensor Dense) Make(string kind)
    {
        switch (kind)
        {
            case "dense":
                var m = randn(N, N);
                return (new DenseFactor(m), m);
            case "grouped":
                var groups = randn(2, N, N);
                return (FactorMatrix.Of(groups), groups);
            case "diagonal":
                var d = rand(N);
                return (FactorMatrix.Of(d), diag(d));
            default:
                Tensor root = randn(2, N),
                    scale = tensor([0.3]);
                return (new LowRankFactor(root, scale), scale * (eye(N) - root.T.mm(root)));
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Products_on_either_side_are_those_of_the_dense_matrix(string kind)
    {
        var (matrix, dense) = Make(kind);
        long[] groups = kind == "grouped" ? [2] : [];
        Tensor tall = randn([.. groups, N, Rows]),
            wide = randn([.. groups, Rows, N]);
        Near(dense.matmul(tall), matrix.TimesOnLeft(tall));
        Near(wide.matmul(dense), matrix.TimesOnRight(wide));
        Near(dense.mT.matmul(tall), matrix.Transposed.TimesOnLeft(tall));
        Near(wide.matmul(dense.mT), matrix.Transposed.TimesOnRight(wide));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Saved_matrix_comes_back_as_it_was(string kind)
    {
        var (matrix, _) = Make(kind);
        var saved = matrix.Tensors("Left").ToDictionary(t => t.Name, t => t.Tensor);
        var restored = FactorMatrix.Restored("Left", saved.GetValueOrDefault);
        Assert.IsType(matrix.GetType(), restored);
        var v = randn(N, N);
        Assert.True(matrix.TimesOnLeft(v).equal(restored.TimesOnLeft(v)).all().ToBoolean());
        Assert.Null(FactorMatrix.Restored("Right", saved.GetValueOrDefault));
    }

    [Fact]
    public void Product_in_bfloat16_has_the_dtype_of_the_vector()
    {
        foreach (var factor in (FactorMatrix[])[new DenseFactor(eye(N)), new DiagonalFactor(ones(N))])
        {
            var shorter = factor.Map(t => t.to_type(ScalarType.BFloat16));
            Assert.Equal(ScalarType.Float64, shorter.TimesOnLeft(randn(N, Rows)).dtype);
            Assert.Equal(ScalarType.Float64, shorter.TimesOnRight(randn(Rows, N)).dtype);
        }
    }

    [Fact]
    public void Identity_has_a_number_for_each_group_and_1_for_none()
    {
        var two = FactorMatrix.Identity(zeros(2, 3, 3), tensor([4.0, double.NaN]).unsqueeze(1));
        Near(stack([4 * eye(3), eye(3)]), two);
    }

    private static void Near(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.InRange(Dense.RelativeError(actual, expected), 0, 1e-13);
    }
}
