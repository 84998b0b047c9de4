using System.Text.Json.Nodes;

namespace Amari;

/// <summary>Shortens the steps of a quadratic model where the batches that follow show that they go too far.</summary>
/// <remarks><code>
/// ρ = g₊'δ / |g'δ|             g₊ the gradient of the next batch, after the step δ; 0 at the lowest point along δ
/// ρ > 3                        the step is shortened to 1 / (1 + ρ) of itself, where a parabola has its minimum
/// ln m ← ln m - (ρ - 0.7)/5    at most 0, ρ within [-1, 3]; further steps are m times the model's: the mean of ρ is then at most 0.7
/// </code>The next batch is independent of the step, so g₊'δ is an unbiased estimate of the slope of the whole loss. In the mean ρ is 0.1
/// where batches are large, up to 0.6 where a step fits its own batch. It is above where the loss is a multiple of the likelihood's, whose
/// curvature the model has. Where two batches alternate, at a minimum of both together, their gradients are opposite, and ρ is 1 or more
/// after every second step, however short. So m is not below 0.1, or a quarter of what it was when a step was last shortened; and steps are
/// shortened in the beginning only, or one after another.</remarks>
internal sealed class Overshoot
{
    private const double Tolerated = 0.7,
        Gain = 0.2,
        Undone = 3;
    private const int Beginning = 10;
    private const double Least = 0.1, // of m
        Below = 0.25, // m at the last shortening
        Notable = 0.5;
    private const int Lasting = 20; // steps
    private double _slope, // |g'δ| of the last step; 0 if there is none
        _least = Least;
    private int _judged, // steps
        _fallen; // steps one after another with a notably small m
    private bool _shortened; // the step before

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
        Share = Math.Min(1, Share * Math.Exp(-Gain * (Math.Clamp(rho, -1, Undone) - Tolerated)));
        _shortened = rho > Undone && (_shortened || _judged < Beginning);
        if (_shortened)
            _least = Math.Min(_least, Below * Share);
        Share = Math.Max(Share, _least);
        _judged++;
        _fallen = Share < Notable ? _fallen + 1 : 0;
        return _shortened ? 1 / (1 + rho) : 1;
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
            ["least"] = _least,
            ["judged"] = _judged,
            ["shortened"] = _shortened,
            ["fallen"] = _fallen,
        };

    /// <summary>Continues from a snapshot; from the beginning where an older one has none.</summary>
    public void Restore(JsonNode? saved)
    {
        (_slope, Share, _least) = ((double?)saved?["slope"] ?? 0, (double?)saved?["share"] ?? 1, (double?)saved?["least"] ?? Least);
        (_judged, _fallen) = ((int?)saved?["judged"] ?? 0, (int?)saved?["fallen"] ?? 0);
        _shortened = (bool?)saved?["shortened"] ?? false;
    }
}
