namespace Amari;

/// <summary>How the training loss combines the terms of a batch.</summary>
public enum LossReduction
{
    /// <summary>The gradient is of the mean over all terms since the last step (micro-batches are scaled by the user so that this
    /// holds).</summary>
    Mean,

    /// <summary>The gradient is of the sum over all terms since the last step.</summary>
    Sum,
}
