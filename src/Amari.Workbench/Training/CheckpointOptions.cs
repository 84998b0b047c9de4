namespace Amari.Training;

/// <summary>Where and how often a run saves itself. The folder holds the newest checkpoints and, as <c>best.safetensors</c>, the weights of
/// the best evaluation.</summary>
/// <param name="Directory">One run's own folder; another process, or another run of this one, is refused there while the run
/// trains.</param>
/// <param name="Resume">Whether to continue from the newest valid checkpoint, if there is one.</param>
/// <param name="Interval">Training time between checkpoints; one more is written at the end.</param>
public sealed record CheckpointOptions(string Directory, bool Resume, TimeSpan Interval)
{
    /// <summary>Whether the checkpoints serve only to continue after an interruption: no best weights are kept, a run that ends by itself
    /// is not saved, and a folder that cannot be used is a warning.</summary>
    internal bool IsTransient { get; init; }
}
