using static Amari.Tests.SecondOrder.Functions;

namespace Amari.Tests.SecondOrder;

/// <summary>Saddle-free Newton against its closed form.</summary>
public sealed class SaddleFreeNewtonTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Step_is_the_closed_form()
    {
        var w = At(0.5, 0.1);
        using var optimizer = new SaddleFreeNewton([w], new() { Damping = 0.1, LearningRate = 0.5 });
        optimizer.step(() => Saddle(w)).Dispose();
        // H = diag(2, 3 y² - 2)
        double gx = 1,
            gy = -2 * 0.1 + 0.1 * 0.1 * 0.1,
            hy = 3 * 0.01 - 2;
        Assert.Equal(0.5 - 0.5 * gx / 2.1, Values(w)[0], 1e-12);
        Assert.Equal(0.1 - 0.5 * gy / (Math.Abs(hy) + 0.1), Values(w)[1], 1e-12);
        double dx = -0.5 * gx / 2.1,
            dy = -0.5 * gy / (-hy + 0.1);
        Assert.Equal(-(gx * dx + gy * dy + 0.5 * (2 * dx * dx + hy * dy * dy)), optimizer.Report!.PredictedReduction!.Value, 1e-12);
    }
}
