using Amari.Curvature;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>A model with layers of every kind, those that AdamW takes among them, and how it is trained.</summary>
public abstract class MixedModelTest : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static nn.Module<Tensor, Tensor> Model(ScalarType type = ScalarType.Float32)
    {
        manual_seed(21);
        return nn.Sequential(
                ("conv", nn.Conv2d(1, 2, 3)),
                ("batch", nn.BatchNorm2d(2)),
                ("up", nn.ConvTranspose2d(2, 2, 1)),
                ("flatten", nn.Flatten()),
                ("norm", nn.LayerNorm(8)),
                ("a", nn.Linear(8, 5)),
                ("t", nn.Tanh()),
                ("p", nn.PReLU(1)),
                ("b", nn.Linear(5, 3))
            )
            .to(type);
    }

    private protected static void Step(nn.Module<Tensor, Tensor> model, optim.Optimizer optimizer, int seed, Action<Tensor>? spoil = null)
    {
        using var generator = new Generator((ulong)seed);
        var type = model.parameters().First().dtype;
        var x = randn([6, 1, 4, 4], generator: generator).to_type(type);
        var y = randint(0, 3, [6], generator: generator);
        optimizer.zero_grad();
        spoil?.Invoke(x);
        new Categorical().Loss(model.call(x), y).backward();
        optimizer.step();
    }

    private protected static double[] Run(Kfac.Options options, int steps = 6, double? clip = null)
    {
        var model = Model();
        using var optimizer = new Kfac(model, options, new Categorical()) { MaxGradientNorm = clip };
        for (int i = 0; i < steps; i++)
            Step(model, optimizer, i);
        return Optimizers.Problem.Values(model.parameters());
    }

    private protected static readonly Kfac.Options Base = new()
    {
        Step = new AutoStep { KlClip = 1 },
        Curvature = new()
        {
            Fisher = new FisherOptions.MonteCarlo(),
            Refresh = new()
            {
                FactorInterval = 1,
                InverseInterval = 2,
                Warmup = null,
            },
        },
    };
}
