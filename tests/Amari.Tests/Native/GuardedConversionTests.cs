using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>Numbers that do not fit the type they are asked for as. A failure here ends the process.</summary>
public sealed class GuardedConversionTests
{
    public GuardedConversionTests() => Assert.Null(TorchLibrary.Status.Unguarded);

    [Fact]
    public void Numbers_that_fit_are_themselves()
    {
        Assert.Equal(long.MaxValue, ((Scalar)long.MaxValue).ToInt64());
        Assert.Equal(long.MinValue, ((Scalar)long.MinValue).ToInt64());
        Assert.Equal(int.MinValue, ((Scalar)(double)int.MinValue).ToInt32());
        Assert.Equal(int.MaxValue, ((Scalar)(double)int.MaxValue).ToInt32());
        Assert.Equal(-2, ((Scalar)(-2.9)).ToInt16());
        Assert.Equal(-128, ((Scalar)(-128)).ToSByte());
        Assert.Equal((byte)255, ((Scalar)255.0).ToByte());
        Assert.Equal((byte)255, ((Scalar)(-1)).ToByte()); // as libtorch has it
        Assert.Equal((byte)1, ((Scalar)true).ToByte());
        Assert.Equal(1.5f, ((Scalar)1.5).ToSingle());
        Assert.Equal(float.MaxValue, ((Scalar)(double)float.MaxValue).ToSingle());
        Assert.Equal(float.PositiveInfinity, ((Scalar)double.PositiveInfinity).ToSingle());
        Assert.True(float.IsNaN(((Scalar)double.NaN).ToSingle()));
    }

    /// <summary>In a process of its own. In that of the runner, after thousands of other tests, the native function was called in place of
    /// the guard; the cause is not found yet (docs/torchsharp.md).</summary>
    [Fact]
    public async Task Others_become_the_nearest_that_fits()
    {
        if (Processes.Alone is null)
            await Processes.RunAlone(typeof(GuardedConversionTests), nameof(Convert));
        else
            Convert();
    }

    private static void Convert()
    {
        Assert.Equal(long.MaxValue, ((Scalar)1e19).ToInt64());
        Assert.Equal(long.MinValue, ((Scalar)double.NegativeInfinity).ToInt64());
        Assert.Equal(0, ((Scalar)double.NaN).ToInt64());
        Assert.Equal(int.MaxValue, ((Scalar)3e9).ToInt32());
        Assert.Equal(int.MinValue, ((Scalar)(-3_000_000_000)).ToInt32());
        Assert.Equal(0, ((Scalar)double.NaN).ToInt32());
        Assert.Equal(short.MaxValue, ((Scalar)40_000).ToInt16());
        Assert.Equal(sbyte.MinValue, ((Scalar)(-129)).ToSByte());
        Assert.Equal((byte)255, ((Scalar)256).ToByte());
        Assert.Equal((byte)0, ((Scalar)(-300)).ToByte());
        Assert.Equal((byte)0, ((Scalar)(-1.0)).ToByte());
        Assert.Equal(float.PositiveInfinity, ((Scalar)1e300).ToSingle());
        Assert.Equal(float.NegativeInfinity, ((Scalar)(-1e300)).ToSingle());
        using var complex = tensor(3f, 4f);
        Assert.Equal(3, complex.ToSingle());
        Assert.Equal(3, complex.ToInt64());
        using var missing = tensor(float.NaN);
        Assert.Equal(0, missing.ToInt32());
    }
}
