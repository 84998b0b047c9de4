using Amari.Curvature;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Tests of K-FAC's numbers: float64, a seed, one step with everything but the preconditioner off.</summary>
public abstract class KfacTest : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    private protected KfacTest(long seed)
    {
        manual_seed(seed);
        set_default_dtype(ScalarType.Float64);
    }

    public void Dispose()
    {
        set_default_dtype(ScalarType.Float32);
        _scope.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static readonly Kfac.Options Plain = new()
    {
        Damping = 0.03,
        LearningRate = 1,
        Step = new AutoStep { KlClip = null, Momentum = 0 },
        Curvature = new()
        {
            Fisher = new FisherOptions.Exact(),
            Inverse = new InverseOptions.Eigenbasis(),
            Refresh = new() { InverseInterval = 1, Warmup = null },
        },
    };

    /// <summary>One step of a new optimizer: its state, and the change and gradient of every parameter by name.</summary>
    private protected static (Dictionary<string, Tensor> State, Dictionary<string, (Tensor Change, Tensor Gradient)> Steps) Step(
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        Tensor x,
        Tensor y,
        Kfac.Options? options = null
    )
    {
        using var optimizer = new Kfac(model, options ?? Plain, likelihood);
        var steps = Step(model, optimizer, likelihood, x, y);
        return (optimizer.Snapshot().Tensors.ToDictionary(t => t.Key, t => t.Value.clone()), steps);
    }

    /// <summary>One step: the change and gradient of every parameter by name.</summary>
    private protected static Dictionary<string, (Tensor Change, Tensor Gradient)> Step(
        nn.Module<Tensor, Tensor> model,
        Kfac optimizer,
        Likelihood likelihood,
        Tensor x,
        Tensor y
    )
    {
        var before = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().clone());
        optimizer.zero_grad();
        likelihood.Loss(model.call(x), y).backward();
        optimizer.step();
        return model.named_parameters().ToDictionary(p => p.name, p => (p.parameter.detach() - before[p.name], p.parameter.grad!.clone()));
    }

    /// <summary>What of options is a further group's own.</summary>
    private protected static Kfac.GroupOptions OwnOf(Kfac.Options options) =>
        new()
        {
            LearningRate = options.LearningRate,
            Momentum = options.Step.OwnMomentum,
            WeightDecay = options.WeightDecay,
            Damping = options.Damping,
            Fallback = options.Fallback,
        };

    /// <summary>TorchSharp leaves the parameters of a GroupNorm uninitialised.</summary>
    private protected static GroupNorm GroupNorm(long groups, long channels)
    {
        var norm = nn.GroupNorm(groups, channels);
        nn.init.ones_(norm.weight!);
        nn.init.zeros_(norm.bias!);
        return norm;
    }

    private protected static Sequential TwoLayers() => nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));

    /// <summary>All parameters in one row.</summary>
    private protected static Tensor Flat(nn.Module model) => cat([.. model.parameters().Select(p => p.detach().flatten())]);

    /// <summary>The change of every parameter in one step.</summary>
    private protected static Dictionary<string, Tensor> Changes(nn.Module<Tensor, Tensor> model, Kfac optimizer, Tensor x, Tensor y) =>
        Step(model, optimizer, new Categorical(), x, y).ToDictionary(s => s.Key, s => s.Value.Change);
}
