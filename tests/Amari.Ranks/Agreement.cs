using Amari.Distributed;
using Amari.Verification;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>What must hold, and what must be the same on all ranks.</summary>
internal static class Agreement
{
    /// <summary>The same bits on all ranks.</summary>
    public static void Same(Communicator world, string what, double[] values)
    {
        using var other = tensor((double[])values.Clone());
        world.Broadcast(other, 0);
        Check($"{what}: ranks agree", other.data<double>().ToArray().SequenceEqual(values));
    }

    public static double Distance(double[] a, double[] b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max();

    public static void Check(string what, bool holds)
    {
        if (!holds)
            throw new InvalidOperationException($"{what}: does not hold");
    }
}
