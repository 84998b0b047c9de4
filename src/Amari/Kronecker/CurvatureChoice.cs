namespace Amari;

/// <summary>What K-FAC chose to keep to its <see cref="RefreshOptions.TimeFraction"/>.</summary>
/// <param name="Budget">The share of the step time that was asked for.</param>
/// <param name="Share">The share that curvature took since intervals were first chosen.</param>
/// <param name="FactorInterval">Steps from one measurement of the factors to the next.</param>
/// <param name="InverseInterval">Steps from one refresh of the inverses to the next.</param>
/// <param name="FactorBatchSize">Examples of a batch that factors are taken from.</param>
public sealed record CurvatureChoice(double Budget, double Share, int FactorInterval, int InverseInterval, long FactorBatchSize)
{
    /// <summary>In one line.</summary>
    public override string ToString() =>
        string.Create(
            System.Globalization.CultureInfo.InvariantCulture,
            $"curvature budget {Budget:P0}: factors every {FactorInterval} steps from {FactorBatchSize} examples, inverses every "
                + $"{InverseInterval}; it took {Share:P1} of the time"
        );
}
