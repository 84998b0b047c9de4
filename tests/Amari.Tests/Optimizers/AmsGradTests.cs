using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>AMSGrad of Adam and AdamW.</summary>
public sealed class AmsGradTests
{
    /// <summary>AMSGrad turned on late begins with the second moment at that step, and rests while it is off.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void AmsGrad_turned_on_late_begins_with_the_second_moment(bool fused)
    {
        foreach (var type in (ScalarType[])[ScalarType.Float64, ScalarType.Float32])
        {
            var p = Problem.Parameters(
                [
                    [40],
                ],
                type
            );
            using var o = new AdamW([ParameterGroup.Of(p, new AdamW.Options { LearningRate = 0.01, Beta2 = 0.5 })]) { Fused = fused };
            double[] w = Problem.Values(p),
                m = new double[w.Length],
                v = new double[w.Length];
            double[]? u = null;
            for (int step = 1; step <= 12; step++)
            {
                bool on = step is > 3 and <= 6 or > 9;
                o.Groups[0].Options = o.Groups[0].Options with { AmsGrad = on };
                Problem.SetGradients(p, step);
                double[] g = Problem.Values([p[0].grad!]);
                o.step();
                for (int i = 0; i < w.Length; i++)
                {
                    m[i] = 0.9 * m[i] + 0.1 * g[i];
                    v[i] = 0.5 * v[i] + 0.5 * g[i] * g[i];
                }
                if (on)
                    u = u is null ? [.. v] : [.. u.Zip(v, Math.Max)];
                for (int i = 0; i < w.Length; i++)
                    w[i] =
                        w[i] * (1 - 0.01 * 0.01)
                        - 0.01 * m[i] / (1 - Math.Pow(0.9, step)) / (Math.Sqrt((on ? u! : v)[i] / (1 - Math.Pow(0.5, step))) + 1e-8);
            }
            Trajectory.Near(w, Problem.Values(p), type == ScalarType.Float64 ? 1e-12 : 2e-6);
        }
    }

    [Theory, InlineData(StateFormat.BFloat16), InlineData(StateFormat.BlockwiseInt8)]
    public void AmsGrad_keeps_its_maximum_in_full_next_to_small_moments(StateFormat format)
    {
        var p = Problem.Parameters(Trajectory.Shapes);
        using var o = new AdamW([ParameterGroup.Of(p, new AdamW.Options { StateFormat = format, AmsGrad = true })]);
        Problem.Steps(o, p, 0, 1);
        var largest = o.Snapshot().Tensors.Where(t => t.Key.EndsWith("LargestMoment", StringComparison.Ordinal)).ToList();
        Assert.Equal(Trajectory.Shapes.Length, largest.Count);
        var before = Problem.Values(largest.Select(t => t.Value));
        Problem.Steps(o, p, 1, 5);
        Assert.All(largest, t => Assert.Equal(ScalarType.Float32, t.Value.dtype));
        foreach (var (first, last) in before.Zip(Problem.Values(largest.Select(t => t.Value))))
            Assert.True(last >= first);
    }
}
