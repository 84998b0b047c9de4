using System.Text.Json.Nodes;

namespace Amari;

/// <summary>Shortens the steps of a quadratic model where the batches that follow show that they go too far.</summary>
/// <remarks><code>
/// ρ = g₊'δ / |g'δ|             g₊ the gradient of the next batch, after the step δ; 0 at the lowest point along δ
/// ρ > 3                        the step is shortened to 1 / (1 + ρ) of itself, where a parabola has its minimum
/// ln m ← ln m - (ρ - 0.7)/5    at most 0, ρ within [-1, 3]; further steps are m times the model's: the mean of ρ is then at most 0.7
/// </code>The next batch is independent of the step, so g₊'δ is an unbiased estimate of the slope of the whole loss. In the mean ρ is 0.1
/// where batches are large, up to 0.6 where a step fits its own batch. It is above where the loss is a multiple of the likelihood's, whose
/// curvature the model has, or where few batches alternate and each undoes the step of the other.</remarks>
internal sealed class Overshoot
{
    private const double Tolerated = 0.7,
        Undone = 3,
        Gain = 0.2,
        Least = 0.1; // m, but where steps are shortened: two batches with opposite gradients have ρ = 1 by any step
    private const double Notable = 0.5; // of m
    private const int Lasting = 20; // steps
    private double _slope; // |g'δ| of the last step; 0 if there is none
    private int _fallen; // steps one after another with a notably small m

    /// <summary>m.</summary>
    public double Share { get; private set; } = 1;

    /// <summary>Whether m has been notably small for some time now.</summary>
    public bool HasFallen => _fallen == Lasting;

    /// <summary>Takes the slope of the next batch.</summary>
    /// <param name="slope">g₊'δ.</param>
    /// <returns>What of the last step is to be kept: 1, or less.</returns>
    public double Judge(double slope)
    {
        double rho = slope / _slope;
        bool isKnown = _slope > 0 && double.IsFinite(rho);
        _slope = 0;
        if (!isKnown)
            return 1;
        double keep = rho > Undone ? 1 / (1 + rho) : 1;
        double next = Share * Math.Exp(-Gain * (Math.Clamp(rho, -1, Undone) - Tolerated));
        Share = Math.Min(1, keep < 1 ? next : Math.Max(next, Math.Min(Share, Least)));
        _fallen = Share < Notable ? _fallen + 1 : 0;
        return keep;
    }

    /// <summary>A step is made.</summary>
    /// <param name="slope">g'δ of it.</param>
    public void Begin(double slope) => _slope = -slope;

    /// <summary>The step was shortened to a share of itself.</summary>
    public void Shorten(double keep) => _slope *= keep;

    /// <summary>What it has learnt of the run.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["slope"] = _slope,
            ["share"] = Share,
            ["fallen"] = _fallen,
        };

    /// <summary>Continues from a snapshot; from the beginning where an older one has none.</summary>
    public void Restore(JsonNode? saved) =>
        (_slope, Share, _fallen) = ((double?)saved?["slope"] ?? 0, (double?)saved?["share"] ?? 1, (int?)saved?["fallen"] ?? 0);
}
