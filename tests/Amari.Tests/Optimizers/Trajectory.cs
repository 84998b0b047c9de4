using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>Where an optimizer gets to in some steps with gradients made from seeds, and how two such runs compare.</summary>
internal static class Trajectory
{
    /// <summary>A matrix and a vector.</summary>
    public static readonly long[][] Shapes =
    [
        [6, 5],
        [7],
    ];

    /// <summary>Parameters of the shapes, for an optimizer of any options.</summary>
    internal sealed record ParameterSource(Parameter[] Parameters)
    {
        public IEnumerable<ParameterGroup<T>> Groups<T>(T options)
            where T : OptimizerOptions => [ParameterGroup.Of(Parameters, options)];
    }

    /// <summary>The parameters after some steps.</summary>
    public static double[] Run(
        Func<ParameterSource, Optimizer> make,
        ScalarType type = ScalarType.Float64,
        int steps = 12,
        long[][]? shapes = null
    )
    {
        var p = Problem.Parameters(shapes ?? Shapes, type);
        using var o = make(new(p));
        for (int step = 0; step < steps; step++)
        {
            Problem.SetGradients(p, step);
            o.step();
        }
        return Problem.Values(p);
    }

    /// <summary>Each of the options matters, and none is left out.</summary>
    public static void AllDiffer<T>(Func<IEnumerable<ParameterGroup<T>>, Optimizer> make, params T[] options)
        where T : OptimizerOptions
    {
        Complete(options);
        AllDiffer([.. options.Select(o => Run(s => make(s.Groups(o))))]);
    }

    /// <summary>Each option has another value than the first record's in one of the others; those that all methods share are
    /// <see cref="SharedOptionsTests"/>' matter.</summary>
    public static void Complete<T>(params T[] options)
        where T : OptimizerOptions =>
        Assert.Empty(
            typeof(T)
                .GetProperties()
                .Where(p =>
                    p.CanWrite
                    && p.DeclaringType != typeof(GroupedOptions)
                    && p.DeclaringType != typeof(MomentumOptions)
                    && Array.TrueForAll(options, o => Equals(p.GetValue(o), p.GetValue(options[0])))
                )
                .Select(p => p.Name)
        );

    /// <summary>No two runs end at the same place.</summary>
    public static void AllDiffer(double[][] runs)
    {
        for (int i = 0; i < runs.Length; i++)
        for (int k = 0; k < i; k++)
            Assert.NotEqual(runs[k], runs[i]);
    }

    /// <summary>Equal up to the tolerance, element by element.</summary>
    public static void Near(double[] expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (e, a) in expected.Zip(actual))
            Assert.InRange(a, e - tolerance, e + tolerance);
    }
}
