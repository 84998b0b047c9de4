using Amari.Kernels;
using Amari.Native;

namespace Amari.Tests.Kernels;

/// <summary>Signs against SplitMix64 written out, bit by bit, and against what chance allows.</summary>
public sealed class RandomSignsTests
{
    private static float[] Signs(int length, ulong seed)
    {
        using var t = empty(length);
        RandomSigns.Fill(t, seed);
        return t.Elements<float>();
    }

    [Theory]
    [InlineData(1), InlineData(7), InlineData(63), InlineData(64), InlineData(77), InlineData((1 << 14) + 70)]
    public void Each_is_a_bit_of_SplitMix64(int length)
    {
        const ulong Seed = 1234567;
        float[] expected = new float[length];
        ulong state = Seed,
            bits = 0;
        for (int i = 0; i < length; i++)
        {
            if (i % 64 == 0)
            {
                state += 0x9E3779B97F4A7C15;
                bits = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
                bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
                bits ^= bits >> 31;
            }
            expected[i] = (bits >> (i % 64) & 1) == 0 ? 1 : -1;
        }
        Assert.Equal(expected, Signs(length, Seed));
    }

    [Fact]
    public void Signs_of_places_and_seeds_are_uncorrelated()
    {
        const int N = 100_000;
        float[] a = Signs(N, 1),
            b = Signs(N, 2);
        double sigma = Math.Sqrt(N);
        Assert.InRange(a.Sum(x => (double)x) / sigma, -4, 4);
        Assert.InRange(a.Zip(b).Sum(p => (double)p.First * p.Second) / sigma, -4, 4);
        foreach (int lag in (int[])[1, 2, 8, 63, 64, 65])
            Assert.InRange(a.Zip(a.Skip(lag)).Sum(p => (double)p.First * p.Second) / sigma, -4, 4);
    }
}
