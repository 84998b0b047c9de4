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
        double[] actual = new double[count];
        var (one, two) = (w.clone(), w.clone());
        double squares = RowSweep.Run(rows, c, one, actual);
        Assert.Equal(0, (one - expected).norm().ToDouble() / size, 1e-6);
        Assert.Equal(1, squares / (size * size), 1e-6);
        for (int i = 0; i < count; i++)
            Assert.Equal(along[i], actual[i], 2e-6 * size * Math.Sqrt(length));
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            double[] again = new double[count];
            Assert.Equal(squares, RowSweep.Run(rows, c, two, again));
            Assert.Equal(actual, again);
            Assert.Equal(one.Elements<float>(), two.Elements<float>());
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(6)]
    [InlineData(9)]
    public void The_last_row_may_be_changed_before_it_is_taken(int count)
    {
        using var scope = NewDisposeScope();
        manual_seed(count);
        var (rows, w) = (randn(count, 20_000), randn(20_000));
        var (expectedRows, expected) = (rows.clone(), w.clone());
        double[] c = [.. Enumerable.Range(0, count).Select(i => 0.3 * (i + 1))],
            last = [.. Enumerable.Range(0, count - 1).Select(i => 0.1 * (i + 1))],
            along = new double[count],
            alongLast = new double[count - 1],
            expectedAlong = new double[count],
            expectedLast = new double[count - 1];
        RowSweep.Run(expectedRows.narrow(0, 0, count - 1), last, expectedRows[count - 1], expectedLast);
        double squares = RowSweep.Run(expectedRows, c, expected, expectedAlong);
        Assert.Equal(squares, RowSweep.Run(rows, c, w, along, last, alongLast));
        Assert.Equal(expectedRows.Elements<float>(), rows.Elements<float>());
        Assert.Equal(expected.Elements<float>(), w.Elements<float>());
        Assert.Equal(expectedAlong, along);
        Assert.Equal(expectedLast, alongLast);
    }

    [Fact]
    public void Squares_of_long_and_large_vectors_are_exact_to_ten_digits()
    {
        using var scope = NewDisposeScope();
        var (rows, w) = (zeros(1, 3_000_001), full(3_000_001, 1e20f));
        Assert.Equal(1, RowSweep.Run(rows, [0.0], w, new double[1]) / 3.000001e46, 1e-7);
        w.fill_(0.1f);
        double one = 0.1f;
        Assert.Equal(1, RowSweep.Run(rows, [0.0], w, new double[1]) / (3_000_001 * one * one), 1e-10);
        Assert.False(RowSweep.IsUsable(rows.to_type(ScalarType.Float64), w));
        Assert.False(RowSweep.IsUsable(zeros(5, 2).T, w));
    }
}
