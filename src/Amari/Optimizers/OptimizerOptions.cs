using System.Text.Json.Serialization;
using Amari.Native;

namespace Amari;

/// <summary>The options of one parameter group: an immutable record. Each value is checked when it is set.</summary>
public abstract record OptimizerOptions
{
    /// <param name="learningRate">The optimizer's own default learning rate.</param>
    protected OptimizerOptions(double learningRate) => LearningRate = learningRate;

    /// <summary>η ≥ 0, in units of a parameter per unit of the optimizer's step direction.</summary>
    public double LearningRate
    {
        get;
        init => field = Require.NonNegative(value);
    }

    /// <summary>The coefficient that momentum-cycling schedulers (OneCycle, Cyclic) drive: μ or β₁; NaN where there is none.</summary>
    [JsonIgnore]
    public virtual double CycledMomentum => double.NaN;

    /// <summary>These options with another <see cref="CycledMomentum"/>.</summary>
    /// <exception cref="NotSupportedException">The optimizer has no momentum.</exception>
    public virtual OptimizerOptions WithCycledMomentum(double value) =>
        throw new NotSupportedException(
            $"{GetType().DeclaringType?.Name} has no momentum to cycle: pass cycle_momentum: false to the scheduler."
        );

    /// <summary>The least <see cref="CycledMomentum"/> that a scheduler sets.</summary>
    internal virtual double LeastCycledMomentum => 0;

    /// <summary>Refuses options that do not go together; each by itself is in its range. Called when a group takes them.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    internal virtual void Validate() { }
}
