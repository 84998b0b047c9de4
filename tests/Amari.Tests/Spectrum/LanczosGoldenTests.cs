using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;
using Amari.Spectrum;
using Amari.Tests.Curvature;
using Amari.Training;

namespace Amari.Tests.Spectrum;

/// <summary>Spectra of our operators against a dense eigensolver on the matrices of an independent implementation: see
/// Fixtures/curvature/README.md.</summary>
public sealed class LanczosGoldenTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string> Names => CurvatureOperatorGoldenTests.Names;

    [Theory, MemberData(nameof(Names))]
    public void Ends_moments_trace_and_diagonal_are_those_of_the_dense_matrices(string name)
    {
        var (trace, objective) = CurvatureOperatorGoldenTests.Load(name);
        foreach (
            var (key, op) in new (string, Amari.Solvers.LinearOperator)[]
            {
                ("hessian", new Hessian(objective)),
                ("ggn", new GaussNewton(objective)),
            }
        )
        {
            var dense = CurvatureOperatorGoldenTests.Read(trace[key]);
            double[] values = linalg.eigvalsh(dense).Elements<double>(); // rising
            using var ends = Lanczos.Run(
                op,
                new()
                {
                    Count = 4,
                    End = SpectrumEnd.Both,
                    Tolerance = 1e-9,
                }
            );
            Assert.True(ends.Converged);
            for (int i = 0; i < 4; i++)
            {
                Assert.Equal(values[^(i + 1)], ends.Values[i], 1e-9 * values[^1]);
                Assert.Equal(values[i], ends.Values[^(i + 1)], 1e-8 * values[^1]);
            }
            var density = LanczosQuadrature.Run(Amari.Solvers.LinearOperator.FromDense(dense), new() { Probes = 40, Steps = 300 });
            Within(values.Sum(), density.Trace(x => x));
            Within(values.Sum(x => x * x), density.Trace(x => x * x));
            Within(values.Sum(x => x > 0 ? x / (x + 0.01) : 0), density.EffectiveDimension(0.01));
            if (key == "ggn")
                Within(values.Sum(x => Math.Log(Math.Max(x, 0) + 0.01)), density.LogDeterminant(0.01));
            Within(values.Sum(), XTrace.Trace(op, 40));
            Within(values.Sum(), HutchPlusPlus.Trace(op, 40));
            var (diagonal, error) = XDiag.Diagonal(op, 60);
            Assert.True((diagonal - dense.diagonal()).norm().ToDouble() <= 3 * error.norm().ToDouble() + 1e-9);
        }

        void Within(double expected, Estimate e) =>
            Assert.True(Math.Abs(e.Value - expected) <= 3 * e.StandardError + 1e-9, $"{name}: {e}, not {expected}");
    }
}
