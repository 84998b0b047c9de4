using System.Text.Json.Serialization;

namespace Amari;

/// <summary>How the length of a K-FAC step and its momentum are determined: <see cref="FixedStep"/>, <see cref="QuadraticStep"/>, or
/// <see cref="AutoStep"/>, which chooses one of the two at the first step.</summary>
[
    JsonDerivedType(typeof(AutoStep), "Auto"),
    JsonDerivedType(typeof(FixedStep), "Fixed"),
    JsonDerivedType(typeof(QuadraticStep), "Quadratic")
]
public abstract record StepRule
{
    private protected StepRule() { }

    /// <summary>μ; null where the rule finds its own.</summary>
    internal virtual double? OwnMomentum => null;

    /// <summary>The rule with another μ, if it has one.</summary>
    internal virtual StepRule WithMomentum(double value) => this;

    /// <summary>How λ adapts; null where it does not.</summary>
    internal abstract AdaptiveDamping? Adaptation { get; }

    /// <summary>Whether a quadratic model is made of batches.</summary>
    internal virtual bool MakesModel => Adaptation is not null;

    /// <summary>Most examples of a batch that a quadratic model is made of; null for all.</summary>
    internal abstract long? ModelBatchSize { get; }
}
