using Amari.Native;

namespace Amari.Cli.Lecture;

/// <summary>A model in chosen coordinates: its only parameter is θ, its weights are w(θ), its output is f(w, x). Float64.</summary>
internal sealed class Coordinates : nn.Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor> _weights;
    private readonly Func<Tensor, Tensor, Tensor> _output;
    private readonly Parameter _theta;

    /// <param name="start">The initial θ; copied.</param>
    /// <param name="weights">w(θ), differentiable.</param>
    /// <param name="output">f(w, x), differentiable in w.</param>
    public Coordinates(Tensor start, Func<Tensor, Tensor> weights, Func<Tensor, Tensor, Tensor> output)
        : base(nameof(Coordinates))
    {
        (_weights, _output, _theta) = (weights, output, new Parameter(start.to(ScalarType.Float64).clone()));
        RegisterComponents();
    }

    /// <summary>The current w, [d].</summary>
    public double[] Weights()
    {
        using var scope = NewDisposeScope();
        using var off = no_grad();
        return _weights(_theta).Elements<double>();
    }

    public override Tensor forward(Tensor input) => _output(_weights(_theta), input);

    /// <summary>Gradient descent: w after 0, 1, .. steps on one batch.</summary>
    public List<double[]> Descend(Optimizer optimizer, Likelihood likelihood, Tensor x, Tensor y, int steps) =>
        Follow(
            steps,
            () =>
            {
                optimizer.zero_grad();
                likelihood.Loss(call(x), y).backward();
                optimizer.step();
            }
        );

    /// <summary>A second-order method: w after 0, 1, .. steps on one batch.</summary>
    /// <param name="optimizer">An optimizer of this model.</param>
    /// <param name="x">Inputs.</param>
    /// <param name="y">Targets.</param>
    /// <param name="steps">Number of steps.</param>
    /// <param name="after">Receives w and the report of every step.</param>
    public List<double[]> Descend(
        SecondOrderOptimizer optimizer,
        Tensor x,
        Tensor y,
        int steps,
        Action<double[], StepReport>? after = null
    ) =>
        Follow(
            steps,
            () =>
            {
                var report = optimizer.StepOnBatch(x, y);
                after?.Invoke(Weights(), report);
            }
        );

    private List<double[]> Follow(int steps, Action step)
    {
        var path = new List<double[]> { Weights() };
        for (int i = 0; i < steps; i++)
        {
            using var scope = NewDisposeScope();
            step();
            path.Add(Weights());
        }
        return path;
    }
}
