using Amari.Cli.Commands;
using Amari.Spectrum;
using Amari.Training;
using Amari.Verification;
using static Amari.Tests.Optimizers.DiagonalCurvatureCases;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>Sophia at degenerate settings.</summary>
public sealed class SophiaTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Sophia_without_clipping_is_diagonal_Newton()
    {
        var (model, x, y, minimum) = Quadratic();
        using var o = new Sophia(
            model,
            new Gaussian(),
            new()
            {
                LearningRate = 1,
                Beta1 = 0,
                Beta2 = 0,
                Gamma = 1,
                Clip = null,
                WeightDecay = 0,
                Estimate = DiagonalEstimate.Hutchinson,
            }
        );
        Step(o, model, new Gaussian(), x, y);
        Near(minimum, Problem.Values(model.parameters()), 1e-12);
        Assert.Equal(0, o.ClippedShare());
    }

    [Fact]
    public void Sophia_whose_every_entry_is_clipped_is_a_step_of_signs()
    {
        var p = Problem.Parameters(
            [
                [6, 5],
            ],
            ScalarType.Float64
        );
        var before = p[0].detach().clone();
        using var o = new Sophia([ParameterGroup.Of(p, new Sophia.Options() { LearningRate = 0.01, WeightDecay = 0 })]);
        o.UpdateCurvature([-ones_like(p[0])]); // negative curvature
        Problem.SetGradients(p, 1);
        Assert.True(double.IsNaN(o.ClippedShare()));
        o.step();
        Near(Problem.Values([before - 0.01 * p[0].grad!.sign()]), Problem.Values(p), 1e-12);
        Assert.Equal(1, o.ClippedShare());
    }
}
