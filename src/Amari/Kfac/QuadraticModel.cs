using Amari.Curvature;
using Amari.Distributed;

namespace Amari;

/// <summary>M(δ) = g'δ + ½ δ'(F + λ)δ over the plane δ = α Δ + μ δ₀ (Martens and Grosse 2015, arXiv:1503.05671, §7).</summary>
/// <remarks><code>
/// [ Δ'(F + λ)Δ    Δ'(F + λ)δ₀  ] [α]     [ g'Δ  ]
/// [ δ₀'(F + λ)Δ   δ₀'(F + λ)δ₀ ] [μ] = - [ g'δ₀ ]
/// </code></remarks>
internal readonly struct QuadraticModel
{
    private const double Unseen = 0.5; // of the slope
    private const double Rounding = 1e-6; // of the determinant; below, the directions are one

    /// <summary>g'Δ and g'δ₀.</summary>
    public (double New, double Last) Slopes { get; private init; }

    /// <summary>Δ'FΔ, Δ'Fδ₀, δ₀'Fδ₀.</summary>
    private (double New, double Cross, double Last) Curvatures { get; init; }

    /// <summary>The same of λ.</summary>
    private (double New, double Cross, double Last) Dampings { get; init; }

    /// <summary>g'Δ of the examples alone that the curvatures are of; null if they are those of the slopes.</summary>
    private double? SeenSlope { get; init; }

    /// <summary>The model of an objective at its parameters.</summary>
    /// <param name="objective">F is its exact Fisher.</param>
    /// <param name="score">Of the objective's examples; null where their slope is not to be known.</param>
    /// <param name="slopes">g'Δ and g'δ₀.</param>
    /// <param name="directions">Δ, and δ₀ if there is one, as tensors shaped as the parameters.</param>
    /// <param name="damping">Δ'λΔ, Δ'λδ₀, δ₀'λδ₀.</param>
    /// <param name="seen">Receives f of the examples, which is not the receiver's.</param>
    /// <param name="norms">|Δ| and |δ₀|, if they are known.</param>
    public static QuadraticModel Of(
        Objective objective,
        Tensor? score,
        (double New, double Last) slopes,
        IReadOnlyList<IReadOnlyList<Tensor>> directions,
        (double, double, double) damping,
        Action<Tensor>? seen = null,
        params double[] norms
    )
    {
        var (curvature, slope) = new Fisher(objective).Form(directions, score, seen, norms);
        return new()
        {
            Slopes = slopes,
            Curvatures = directions.Count == 1 ? (curvature[0, 0], 0, 0) : (curvature[0, 0], curvature[0, 1], curvature[1, 1]),
            Dampings = damping,
            SeenSlope = score is null ? null : slope[0],
        };
    }

    /// <summary>The same with the gradient as it was before it was multiplied by a number.</summary>
    public QuadraticModel Unclipped(double clip) => this with { Slopes = (Slopes.New / clip, Slopes.Last / clip) };

    /// <summary>The model over the plane of -Δ and -δ₀: products of two directions stay as they are.</summary>
    public QuadraticModel Opposite() => this with { Slopes = (-Slopes.New, -Slopes.Last), SeenSlope = -SeenSlope };

    /// <summary>Whether the examples of the curvatures show at least half of the slope along Δ, and at most half more: else some example
    /// that they lack has most of it, and the curvature that goes with it.</summary>
    // what is no number is dealt with elsewhere
    public bool IsRepresentative => !(SeenSlope is { } seen && Math.Abs(seen - Slopes.New) > Unseen * Math.Abs(Slopes.New));

    /// <summary>Whether it rises along Δ in the end: not where Δ is nothing, nor where its curvature is no number.</summary>
    public bool IsBounded => Curvatures.New + Dampings.New is > 0 and < double.PositiveInfinity;

    /// <summary>α and μ at the minimum; along one direction alone where the plane has no second, and 0 along one that is nothing.</summary>
    /// <param name="mostMomentum">The largest |μ|; beyond, the minimum is that at this μ.</param>
    public (double Alpha, double Mu) Minimum(double mostMomentum = double.PositiveInfinity)
    {
        var (a, b, c) = (Curvatures.New + Dampings.New, Curvatures.Cross + Dampings.Cross, Curvatures.Last + Dampings.Last);
        double determinant = a * c - b * b;
        if (!(determinant > Rounding * a * c))
            return IsBounded ? (-Slopes.New / a, 0)
                : c is > 0 and < double.PositiveInfinity ? (0, Math.Clamp(-Slopes.Last / c, -mostMomentum, mostMomentum))
                : (0, 0);
        double mu = (b * Slopes.New - a * Slopes.Last) / determinant;
        if (!(Math.Abs(mu) > mostMomentum))
            return ((b * Slopes.Last - c * Slopes.New) / determinant, mu);
        mu = Math.CopySign(mostMomentum, mu);
        return (-(Slopes.New + b * mu) / a, mu);
    }

    /// <summary>M at its minimum, damped.</summary>
    public double Least()
    {
        var (alpha, mu) = Minimum();
        return 0.5 * (alpha * Slopes.New + mu * Slopes.Last);
    }

    /// <summary>½ δ'Fδ of δ = α Δ + μ δ₀: the KL divergence that a step is to cause.</summary>
    public double Divergence(double alpha, double mu) =>
        0.5 * (alpha * alpha * Curvatures.New + 2 * alpha * mu * Curvatures.Cross + mu * mu * Curvatures.Last);

    /// <summary>-M(α Δ + μ δ₀) without damping: what the loss is promised to fall by.</summary>
    public double Reduction(double alpha, double mu) => -(alpha * Slopes.New + mu * Slopes.Last + Divergence(alpha, mu));
}
