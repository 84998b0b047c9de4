using Amari.Kernels;
using Amari.Native;

namespace Amari.Tests.Kernels;

/// <summary>Against sums in float64, one number after the other.</summary>
public sealed class RowSweepTests
{
    public static TheoryData<int, int> Shapes
    {
        get
        {
            var shapes = new TheoryData<int, int>();
            foreach (int rows in (int[])[1, 2, 3, 4, 5, 7, 8, 11])
            foreach (int length in (int[])[1, 7, 8, 15, 16, 17, 1023, 1024, 1041, (1 << 14) + 3, 40_001])
                shapes.Add(rows, length);
            return shapes;
        }
    }

    [Theory, MemberData(nameof(Shapes))]
    public void Rows_are_taken_and_measured_alike_on_any_threads(int count, int length)
    {
        using var scope = NewDisposeScope();
        manual_seed(count + length);
        var (rows, w) = (randn(count, length), randn(length));
        double[] c = [.. Enumerable.Range(0, count).Select(i => i == 1 ? 0 : 0.25 * (i + 1))];
        var expected = w.to_type(ScalarType.Float64) - rows.to_type(ScalarType.Float64).T.mv(tensor(c));
        double[] along = rows.to_type(ScalarType.Float64).mv(expected).Elements<double>();
        double size = expected.norm().ToDouble();
        int[] all = [.. Enumerable.Range(0, count)];
        double[] actual = new double[count];
        var (one, two) = (w.clone(), w.clone());
        double squares = RowSweep.Run(rows, all, c, one, actual);
        Assert.Equal(0, (one - expected).norm().ToDouble() / size, 1e-6);
        Assert.Equal(1, squares / (size * size), 1e-6);
        for (int i = 0; i < count; i++)
            Assert.Equal(along[i], actual[i], 2e-6 * size * Math.Sqrt(length));
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            double[] again = new double[count];
            Assert.Equal(squares, RowSweep.Run(rows, all, c, two, again));
            Assert.Equal(actual, again);
            Assert.Equal(one.Elements<float>(), two.Elements<float>());
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Fact]
    public void Rows_that_are_not_chosen_are_not_used()
    {
        using var scope = NewDisposeScope();
        var rows = full([3, 50], float.NaN);
        rows[1].fill_(2);
        using var w = ones(50);
        double[] along = [-1, -1, -1];
        Assert.Equal(50 * 0.25, RowSweep.Run(rows, [1], [9, 0.25, 9], w, along), 12);
        Assert.Equal([-1, 50, -1], along);
    }

    [Fact]
    public void Squares_of_long_and_large_vectors_are_exact_to_ten_digits()
    {
        using var scope = NewDisposeScope();
        var (rows, w) = (zeros(1, 3_000_001), full(3_000_001, 1e20f));
        Assert.Equal(1, RowSweep.Run(rows, [0], [0.0], w, new double[1]) / 3.000001e46, 1e-7);
        w.fill_(0.1f);
        double one = 0.1f;
        Assert.Equal(1, RowSweep.Run(rows, [0], [0.0], w, new double[1]) / (3_000_001 * one * one), 1e-10);
        Assert.False(RowSweep.IsUsable(rows.to_type(ScalarType.Float64), w));
        Assert.False(RowSweep.IsUsable(zeros(5, 2).T, w));
    }
}
