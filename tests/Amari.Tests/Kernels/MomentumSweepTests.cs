using Amari.Kernels;
using Amari.Native;
using static Amari.Kernels.MomentumSweep;

namespace Amari.Tests.Kernels;

/// <summary>Against the formula in float64, of torch.</summary>
public sealed class MomentumSweepTests
{
    private static readonly Rule By = new(0.75, -1.5, 0.125, 1.0 / 64);

    public static TheoryData<long, long, bool> Shapes
    {
        get
        {
            var shapes = new TheoryData<long, long, bool>();
            foreach (long rows in (long[])[1, 2, 3, 200])
            foreach (long columns in (long[])[1, 7, 8, 15, 16, 17, 31, 300])
            foreach (bool bias in (bool[])[false, true])
                shapes.Add(rows, columns, bias);
            return shapes;
        }
    }

    private static Tensor Wide(Tensor t) => t.to_type(ScalarType.Float64);

    [Theory, MemberData(nameof(Shapes))]
    public void Weight_and_bias_move_by_their_columns_at_every_width(long rows, long columns, bool bias)
    {
        using var scope = NewDisposeScope();
        manual_seed(rows + columns);
        long all = bias ? columns + 1 : columns;
        var (w, c) = (randn(rows, columns), randn(rows));
        var (b, u) = (randn(rows, all), randn(rows, all));
        var momentum = Wide(b) * By.Momentum + Wide(u) * By.Alpha;
        var weight = Wide(w) * (1 - By.Decay) - momentum.narrow(1, 0, columns) * By.Rate;
        var first = Run(16);
        foreach (
            var t in first.Zip((Tensor[])[momentum, weight, .. bias ? [Wide(c) - momentum.select(1, columns) * By.Rate] : (Tensor[])[]])
        )
            Assert.Equal(0, (Wide(t.First) - t.Second).abs().max().ToDouble(), 1e-6);
        foreach (int width in (int[])[8, 1])
            Assert.Equal(first.Select(Bits), Run(width).Select(Bits));
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            Assert.Equal(first.Select(Bits), Run(16).Select(Bits));
        }
        finally
        {
            set_num_threads(threads);
        }

        Tensor[] Run(int width)
        {
            var (b2, w2, c2) = (b.clone(), w.clone(), c.clone());
            var sweep = new MomentumSweep { Width = width };
            sweep.Add(w2, b2, u, Place.Of(b2, b2.narrow(1, 0, columns))!.Value, By);
            if (bias)
                sweep.Add(c2, b2, u, Place.Of(b2, b2.select(1, columns))!.Value, By with { Decay = 0 });
            sweep.Run();
            sweep.Run(); // nothing is left
            return [b2, w2, .. bias ? [c2] : (Tensor[])[]];
        }

        static string Bits(Tensor t) => Convert.ToHexString(t.bytes);
    }

    [Fact]
    public void A_place_is_that_of_rows_in_a_wider_matrix()
    {
        using var scope = NewDisposeScope();
        var whole = zeros(4, 11);
        Assert.Equal(new Place(0, 10, 11), Place.Of(whole, whole.narrow(1, 0, 10)));
        Assert.Equal(new Place(10, 1, 11), Place.Of(whole, whole.select(1, 10)));
        Assert.Equal(new Place(0, 10, 11), Place.Of(whole, whole.narrow(1, 0, 10).view(4, 2, 5)));
        Assert.Null(Place.Of(whole, whole.T));
        Assert.Null(Place.Of(whole, whole.narrow(1, 0, 10).clone()));
        Assert.Null(Place.Of(whole, whole.narrow(1, 0, 10).slice(1, 0, 10, 2)));
    }

    [Fact]
    public void What_is_cleared_is_not_made()
    {
        using var scope = NewDisposeScope();
        var (w, b, u) = (ones(3, 2), zeros(3, 2), ones(3, 2));
        var sweep = new MomentumSweep();
        sweep.Add(w, b, u, Place.Of(b, b)!.Value, By);
        sweep.Clear();
        sweep.Run();
        Assert.Equal(6, w.sum().ToSingle());
    }
}
