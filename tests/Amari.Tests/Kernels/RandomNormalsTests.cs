using Amari.Kernels;
using Amari.Native;

namespace Amari.Tests.Kernels;

/// <summary>Normal numbers against Box and Muller written out in double precision, and against what chance allows.</summary>
public sealed class RandomNormalsTests
{
    private static float[] Normals(int length, ulong seed)
    {
        using var t = empty(length);
        RandomNormals.Fill(t, seed);
        return t.Elements<float>();
    }

    [Theory]
    [InlineData(1), InlineData(7), InlineData(15), InlineData(16), InlineData(77), InlineData((1 << 14) + 70)]
    public void Each_pair_is_a_number_of_SplitMix64(int length)
    {
        const ulong Seed = 1234567;
        double[] expected = new double[length + 16];
        ulong state = Seed;
        for (int pair = 0; pair < length / 2 + 8; pair++)
        {
            state += 0x9E3779B97F4A7C15;
            ulong bits = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
            bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
            bits ^= bits >> 31;
            double radius = Math.Sqrt(-2 * Math.Log((((bits & uint.MaxValue) >> 8) + 1) / 16777216.0)),
                angle = 2 * Math.PI * ((bits >> 40) / 16777216.0);
            int place = pair / 8 * 16 + pair % 8;
            if (place + 8 < expected.Length)
                (expected[place], expected[place + 8]) = (radius * Math.Cos(angle), radius * Math.Sin(angle));
        }
        float[] normals = Normals(length, Seed);
        for (int i = 0; i < length; i++)
            Assert.Equal(expected[i], normals[i], 2e-6);
    }

    [Fact]
    public void The_distribution_is_normal_and_places_and_seeds_are_uncorrelated()
    {
        const int N = 100_000;
        float[] a = Normals(N, 1),
            b = Normals(N, 2);
        double sigma = Math.Sqrt(N);
        Assert.InRange(a.Sum(x => (double)x) / sigma, -4, 4);
        Assert.InRange(a.Sum(x => (double)x * x - 1) / (Math.Sqrt(2) * sigma), -4, 4);
        Assert.InRange(a.Sum(x => Math.Pow(x, 4) - 3) / (Math.Sqrt(96) * sigma), -4, 4);
        foreach (var (bound, share) in ((double, double)[])[(-1, 0.158655), (0, 0.5), (0.5, 0.691462), (2, 0.977250), (3, 0.998650)])
            Assert.InRange((a.Count(x => x <= bound) - share * N) / Math.Sqrt(share * (1 - share) * N), -4, 4);
        Assert.InRange(a.Zip(b).Sum(p => (double)p.First * p.Second) / sigma, -4, 4);
        foreach (int lag in (int[])[1, 2, 7, 8, 9, 16])
            Assert.InRange(a.Zip(a.Skip(lag)).Sum(p => (double)p.First * p.Second) / sigma, -4, 4);
    }

    [Fact]
    public void Threads_change_nothing()
    {
        float[] two = Normals(200_001, 5);
        int before = get_num_threads();
        set_num_threads(1);
        float[] one = Normals(200_001, 5);
        set_num_threads(before);
        Assert.Equal(two, one);
    }
}
