using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;
using Amari.Spectrum;
using Amari.Tests.Spectrum;
using Amari.Training;

namespace Amari.Tests.Contracts;

/// <summary>torch's default dtype changes nothing: every tensor is of the dtype of the model, or of one that it needs.</summary>
public sealed class DefaultTypeTests
{
    private static readonly double[] Values = Matrices.Network(100);

    private static readonly Dictionary<string, Func<LinearOperator, double[]>> Estimates = new()
    {
        ["Hutchinson"] = op => [Hutchinson.Trace(op, 10, 3).Value],
        ["norm"] = op => [Hutchinson.FrobeniusNorm(op, 10, 3).Value],
        ["diagonal"] = op => Diagonal(() => Hutchinson.Diagonal(op, 10, 3)),
        ["Hutch++"] = op => [HutchPlusPlus.Trace(op, 12, 3).Value],
        ["XTrace"] = op => [XTrace.Trace(op, 12, 3).Value],
        ["XDiag"] = op => Diagonal(() => XDiag.Diagonal(op, 12, 3).Value),
        ["density"] = op => [.. LanczosQuadrature.Run(op, new() { Steps = 12, Probes = 2 }).Probes.Select(p => p.Sum(x => x * x))],
        ["Lanczos"] = op => Lanczos.Run(op, new() { Count = 3, Vectors = false }).Values.ToArray(),
        ["conjugate gradient"] = op =>
            ConjugateGradient.Solve(op.Damped(1), ones(op.Dimension, dtype: op.Type)).Solution.Elements<double>(),
    };

    public static TheoryData<string, ScalarType> Cases
    {
        get
        {
            var cases = new TheoryData<string, ScalarType>();
            foreach (string name in Estimates.Keys)
            foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64])
                cases.Add(name, type);
            return cases;
        }
    }

    public static TheoryData<string> Optimizers => [.. OptimizerCatalog.All.Select(e => e.Name)];

    private static double[] Diagonal(Func<Tensor> of) => of().Elements<double>();

    private static T InFloat64<T>(Func<T> run)
    {
        set_default_dtype(ScalarType.Float64);
        try
        {
            return run();
        }
        finally
        {
            set_default_dtype(ScalarType.Float32);
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void Estimates_are_the_same(string name, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var op = LinearOperator.FromDense(Matrices.With(Values).to_type(type));
        Assert.Equal(Estimates[name](op), InFloat64(() => Estimates[name](op)));
    }

    [Theory, MemberData(nameof(Optimizers))]
    public void Steps_are_the_same(string name)
    {
        Assert.Equal(Trained(), InFloat64(Trained));

        double[] Trained()
        {
            using var scope = NewDisposeScope();
            using var model = OlderState.Model().to(ScalarType.Float32);
            using var optimizer = OlderState.Make(name, model);
            manual_seed(1);
            for (int step = 0; step < 12; step++)
                OlderState.Step(optimizer, model, step);
            return [.. model.parameters().SelectMany(p => p.Elements<double>())];
        }
    }
}
