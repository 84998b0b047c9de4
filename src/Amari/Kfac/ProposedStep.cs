namespace Amari;

/// <summary>A step before its length is known.</summary>
/// <param name="directions">Where blocks go; perhaps none.</param>
/// <param name="batch">Of the step; null where no model is made of it.</param>
/// <param name="clip">What clipping multiplied the gradients by: the step becomes shorter by it; what is predicted is by the whole
/// gradient.</param>
internal sealed class ProposedStep(List<Direction> directions, ModelBatch? batch, double clip)
{
    /// <summary>Where blocks go; perhaps none.</summary>
    public List<Direction> Directions => directions;

    /// <summary>Of the step; null where no model is made of it.</summary>
    public ModelBatch? Batch => batch;

    /// <summary>What clipping multiplied the gradients by.</summary>
    public double Clip => clip;
}
