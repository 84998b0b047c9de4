using Amari.Curvature;

namespace Amari.Optimizers;

/// <summary>A step that is judged by the loss of its own batch, and may be taken back. It is, unless it is kept: an exception from the
/// user's model leaves the parameters as they were.</summary>
/// <param name="parameters">w, as they are before the step.</param>
/// <param name="loss">Computes L at the parameters as they are then.</param>
/// <param name="before">L(w).</param>
/// <param name="restorable">Whether w is kept, to move from it and to put it back.</param>
/// <param name="rounding">An error of the loss by rounding beyond that of its last places, as of small differences of large
/// numbers.</param>
/// <param name="terms">The magnitude of the numbers that the loss is a sum of, where it may be far less than they are.</param>
internal sealed class TrialStep(
    ParameterLayout parameters,
    Func<double> loss,
    double before,
    bool restorable = true,
    double rounding = 0,
    double terms = 0
) : IDisposable
{
    /// <inheritdoc cref="TrialStep"/>
    /// <param name="objective">L, at the parameters w before the step.</param>
    /// <param name="before">L(w).</param>
    /// <param name="restorable">Whether w is kept, to move from it and to put it back.</param>
    public TrialStep(Objective objective, double before, bool restorable = true)
        : this(objective.Parameters, objective.Loss, before, restorable, terms: TermsOf(objective, before)) { }

    private const double RoundingErrors = 10; // of the loss, in units of its last place (Conn, Gould and Toint 2000, §17.4.2)
    private bool _isOpen = restorable; // neither kept nor taken back
    private readonly Tensor? _start = restorable ? parameters.Read().DetachFromDisposeScope() : null;

    /// <summary>w : [d]; not to be changed.</summary>
    public Tensor Start => _start ?? throw new InvalidOperationException("The parameters before the step were not kept.");

    /// <summary>How far two evaluations of the loss may lie apart by rounding.</summary>
    public double Rounding { get; } = RoundingError(parameters, before) + rounding;

    /// <inheritdoc cref="Rounding"/>
    public static double RoundingError(ParameterLayout parameters, double loss) =>
        RoundingErrors * finfo(parameters.Type).eps * Math.Abs(loss);

    /// <summary>1 where terms are logarithms of sums of exponentials: a float32 is 1 + 10⁻⁸ no more than it is 1, and the loss is 0. A loss
    /// that nothing is known of is taken for one where it is 0. Squares have all their places at 0.</summary>
    private static double TermsOf(Objective objective, double loss) =>
        objective.Likelihood is { } likelihood ? (likelihood.Precision is null ? 1 : 0)
        : loss == 0 ? 1
        : 0;

    /// <summary>L at the parameters as they are now.</summary>
    public double Loss() => loss();

    /// <summary>L(w + s D), where the parameters then are.</summary>
    /// <param name="direction">D : [d].</param>
    /// <param name="size">s.</param>
    public double LossAt(Tensor direction, double size)
    {
        Move(direction, size);
        return Loss();
    }

    /// <summary>Puts the parameters at w + s D.</summary>
    public void Move(Tensor direction, double size)
    {
        using var scope = NewDisposeScope();
        parameters.Write(Start.add(direction, alpha: size));
        _isOpen = true;
    }

    /// <summary>Puts w back, bit for bit.</summary>
    public void TakeBack()
    {
        parameters.Write(Start);
        _isOpen = false;
    }

    /// <summary>The parameters stay where they are.</summary>
    public void Keep() => _isOpen = false;

    /// <summary>Whether a loss is above L(w) beyond rounding, or no number.</summary>
    public bool Rises(double after) => !(after <= before + Rounding);

    /// <summary>ρ = (L(w) - L(w + δ)) / -M(δ), the actual reduction over the predicted one (Nocedal and Wright 2006, 4.4).</summary>
    /// <remarks>Both are raised by the rounding error of the loss, so that ρ tends to 1 and not to noise as they vanish. It is -∞ where the
    /// loss is no number, and where it rose though the model predicted so.</remarks>
    /// <param name="after">L(w + δ).</param>
    /// <param name="predicted">-M(δ).</param>
    public double ReductionRatio(double after, double predicted)
    {
        if (!double.IsFinite(after))
            return double.NegativeInfinity;
        return predicted + Rounding > 0 ? (before - after + Rounding) / (predicted + Rounding)
            : after > before ? double.NegativeInfinity
            : 1;
    }

    /// <summary>Whether neither the change of the loss nor the prediction is above rounding: ρ says nothing then.</summary>
    /// <remarks>The loss is as uncertain as the terms that it is a sum of, and as w is to its last place: |g ∘ w|.</remarks>
    /// <param name="after">L(w + δ).</param>
    /// <param name="predicted">-M(δ).</param>
    /// <param name="gradient">g : [d]; null where it is not at hand, or w was not kept.</param>
    public bool Hides(double after, double predicted, Tensor? gradient = null)
    {
        using var scope = NewDisposeScope();
        double ofParameters = gradient is null ? 0 : gradient.mul(Start).norm().ToDouble(),
            most = Rounding + RoundingError(parameters, terms + ofParameters);
        return Math.Abs(before - after) <= most && Math.Abs(predicted) <= most;
    }

    /// <summary>Puts w back, unless the step was kept, and frees it.</summary>
    public void Dispose()
    {
        if (_isOpen)
            TakeBack();
        _start?.Dispose();
    }
}
