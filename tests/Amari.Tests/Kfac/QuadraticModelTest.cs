using Amari.Curvature;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Steps from the quadratic model in float64, and the direction of a fixed step from the same state.</summary>
public abstract class QuadraticModelTest() : KfacTest(41)
{
    private protected static readonly Kfac.Options Base = new()
    {
        Damping = 0.02,
        MaxGrowth = null,
        Step = new QuadraticStep(),
        Curvature = new()
        {
            Fisher = new FisherOptions.Exact(),
            IdentityStart = 0,
            Refresh = new() { InverseInterval = 1 },
        },
    };

    /// <summary>The change of the parameters by one fixed step of length 1 without momentum, from a given state.</summary>
    private protected static Tensor Direction(Kfac other, nn.Module<Tensor, Tensor> model, Kfac.Options options, Tensor x, Tensor y)
    {
        var twin = TwoLayers();
        using (no_grad())
            foreach (var (p, q) in twin.parameters().Zip(model.parameters()))
                p.copy_(q);
        using var optimizer = new Kfac(twin, options, new Categorical());
        optimizer.Restore(other.Snapshot());
        optimizer.Group.Options = options with
        {
            LearningRate = 1,
            StepRejection = false,
            Step = new FixedStep { KlClip = null, Momentum = 0 },
        };
        var before = Flat(twin);
        new Categorical().Loss(twin.call(x), y).backward();
        optimizer.step();
        return Flat(twin) - before;
    }
}
