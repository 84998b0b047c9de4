using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>The inner products of three vectors with each other, from one pass over memory, in double precision.</summary>
internal readonly record struct InnerProducts(double AA, double AB, double BB, double AC, double BC, double CC)
{
    [ThreadStatic]
    private static double[]? _sums;

    /// <summary>Of tensors with equally many numbers; without c it is b once more. Float32 that is dense on the CPU goes by our own kernel,
    /// the rest by torch.</summary>
    public static unsafe InnerProducts Of(Tensor a, Tensor b, Tensor? c = null)
    {
        c ??= b;
        if (!(IsUsable(a) && IsUsable(b) && IsUsable(c)))
            return new(Plain(a, a), Plain(a, b), Plain(b, b), Plain(a, c), Plain(b, c), Plain(c, c));
        long n = LibTorch.Count(a.Handle);
        int chunks = SweepPass.Chunks(n);
        if (_sums is null || _sums.Length < (ProductPass.Count + 1) * chunks)
            _sums = new double[(ProductPass.Count + 1) * chunks];
        var segment = new SweepSegment
        {
            W = LibTorch.DataPointer(a.Handle),
            G = LibTorch.DataPointer(b.Handle),
            S = LibTorch.DataPointer(c.Handle),
            Length = n,
            End = n,
        };
        var total = stackalloc double[ProductPass.Count]; // stackalloc clears
        fixed (double* sums = _sums)
        {
            SweepPass.Run(new ProductPass(sums), &segment, n, sums + (ProductPass.Count * chunks));
            for (int i = 0; i < ProductPass.Count * chunks; i++)
                total[i % ProductPass.Count] += sums[i];
        }
        GC.KeepAlive(a);
        GC.KeepAlive(b);
        GC.KeepAlive(c);
        return new(total[0], total[1], total[2], total[3], total[4], total[5]);
    }

    private static bool IsUsable(Tensor t) =>
        LibTorch.Type(t.Handle) == ScalarType.Float32 && LibTorch.Device(t.Handle) == DeviceType.CPU && LibTorch.IsContiguous(t.Handle);

    /// <summary>a'b, in float64: squares of all float32 numbers are representable.</summary>
    public static double Dot(Tensor a, Tensor b) => IsUsable(a) && IsUsable(b) ? Of(a, b).AB : Plain(a, b);

    private static double Plain(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        return a.to_type(ScalarType.Float64).flatten().dot(b.to_type(ScalarType.Float64).flatten()).ToDouble();
    }

    /// <summary>The inner products of corresponding rows.</summary>
    public static double[] OfRows(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        return [.. Enumerable.Range(0, (int)a.shape[0]).Select(i => Dot(a[i], b[i]))];
    }

    public static InnerProducts operator +(InnerProducts x, InnerProducts y) =>
        new(x.AA + y.AA, x.AB + y.AB, x.BB + y.BB, x.AC + y.AC, x.BC + y.BC, x.CC + y.CC);

    public static InnerProducts operator *(double s, InnerProducts x) => new(s * x.AA, s * x.AB, s * x.BB, s * x.AC, s * x.BC, s * x.CC);

    /// <summary>Puts the six sums of each chunk of the only segment in their places, in an order that no hardware changes.</summary>
    private readonly unsafe struct ProductPass(double* products) : ISweepPass
    {
        public const int Count = 6;
        private readonly double* _products = products;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            float* a = (float*)segment->W,
                b = (float*)segment->G,
                c = (float*)segment->S;
            Vector256<double> aa0 = default,
                ab0 = default,
                bb0 = default,
                ac0 = default,
                bc0 = default,
                cc0 = default;
            Vector256<double> aa1 = default,
                ab1 = default,
                bb1 = default,
                ac1 = default,
                bc1 = default,
                cc1 = default;
            long i = from;
            for (; i <= to - Vector256<float>.Count; i += Vector256<float>.Count)
            {
                var ((x, s), (y, t), (z, u)) = (Widened(a + i), Widened(b + i), Widened(c + i));
                (aa0, aa1) = (aa0 + x * x, aa1 + s * s);
                (ab0, ab1) = (ab0 + x * y, ab1 + s * t);
                (bb0, bb1) = (bb0 + y * y, bb1 + t * t);
                (ac0, ac1) = (ac0 + x * z, ac1 + s * u);
                (bc0, bc1) = (bc0 + y * z, bc1 + t * u);
                (cc0, cc1) = (cc0 + z * z, cc1 + u * u);
            }
            double* p = _products + (Count * (from / SweepPass.ChunkSize));
            (p[0], p[1], p[2], p[3], p[4], p[5]) = (
                Sum(aa0, aa1),
                Sum(ab0, ab1),
                Sum(bb0, bb1),
                Sum(ac0, ac1),
                Sum(bc0, bc1),
                Sum(cc0, cc1)
            );
            for (; i < to; i++)
            {
                double x = a[i],
                    y = b[i],
                    z = c[i];
                p[0] += x * x;
                p[1] += x * y;
                p[2] += y * y;
                p[3] += x * z;
                p[4] += y * z;
                p[5] += z * z;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static (Vector256<double> Low, Vector256<double> High) Widened(float* from) => Vector256.Widen(Vector256.Load(from));

        private static double Sum(Vector256<double> low, Vector256<double> high) // Vector256.Sum's order is the hardware's
        {
            double sum = 0;
            for (int lane = 0; lane < Vector256<double>.Count; lane++)
                sum += low[lane];
            for (int lane = 0; lane < Vector256<double>.Count; lane++)
                sum += high[lane];
            return sum;
        }
    }
}
