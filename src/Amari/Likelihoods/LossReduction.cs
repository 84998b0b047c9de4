namespace Amari;

/// <summary>How the training loss combines the terms of a batch.</summary>
public enum LossReduction
{
    /// <summary>The gradient is that of the mean over all terms since the last step. The user scales micro-batches accordingly.</summary>
    Mean,

    /// <summary>The gradient is that of the sum over all terms since the last step.</summary>
    Sum,
}
