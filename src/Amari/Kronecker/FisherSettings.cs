using Amari.Curvature;

namespace Amari.Kronecker;

/// <summary>Which gradients factors are made of.</summary>
/// <param name="Kind">Null chooses: see <see cref="CurvatureOptions.Fisher"/>.</param>
/// <param name="Samples">Draws per pass for <see cref="FisherKind.MonteCarlo"/> and <see cref="FisherKind.CurvaturePropagation"/>.</param>
/// <param name="WeightSharing">How positions are combined.</param>
/// <param name="Corrected">Whether second moments in the eigenbasis are measured, too.</param>
/// <param name="Examples">Most examples that are used, the first ones; null for all.</param>
/// <param name="Decay">Of the running average that they are for, where no more of them are used than a layer's factors need; null where
/// all are.</param>
/// <param name="Precision">What sums are computed in.</param>
internal readonly record struct FisherSettings(
    FisherKind? Kind,
    int Samples,
    WeightSharing WeightSharing = WeightSharing.Expand,
    bool Corrected = false,
    long? Examples = null,
    double? Decay = null,
    MatmulPrecision Precision = MatmulPrecision.Full
)
{
    /// <summary>Whether factors come with the training loss's own backward pass.</summary>
    public static bool FromLoss(FisherKind kind) => kind is FisherKind.Empirical or FisherKind.ForwardOnly;
}
