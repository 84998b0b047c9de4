using Amari.Curvature;
using Amari.Solvers;

namespace Amari.Cli.Lecture;

/// <summary>One neuron without input in float64: its logit is its only weight w, p(y = 1) = σ(w).</summary>
internal sealed class Neuron : IDisposable
{
    private readonly Tensor _input = ones(1, 1, dtype: ScalarType.Float64);
    private readonly Tensor _target;

    public Neuron(double w, double y)
    {
        Model.to(ScalarType.Float64);
        _target = full(1, 1, y, dtype: ScalarType.Float64);
        Objective = new Objective(Model, new Bernoulli(), [(_input, _target)]);
        Weight = w;
    }

    public Linear Model { get; } = nn.Linear(1, 1, hasBias: false);

    /// <summary>-log p(y | w).</summary>
    public Objective Objective { get; }

    public double Weight
    {
        get => Model.weight!.item<double>();
        set
        {
            using var off = no_grad();
            Model.weight!.fill_(value);
        }
    }

    public double Loss() => Objective.Loss();

    public double Gradient()
    {
        using var gradient = Objective.Gradient().Gradient;
        return gradient.item<double>();
    }

    /// <summary>The exact Fisher information, from the library's operator.</summary>
    public double Fisher() => Dense(new Fisher(Objective));

    /// <summary>The second derivative of the loss, from the library's operator.</summary>
    public double Hessian() => Dense(new Hessian(Objective));

    private static double Dense(Solvers.LinearOperator curvature)
    {
        using var matrix = curvature.ToDense();
        return matrix.item<double>();
    }

    public static double Sigmoid(double w) => 1 / (1 + Math.Exp(-w));

    public void Dispose()
    {
        Model.Dispose();
        _input.Dispose();
        _target.Dispose();
    }
}
