namespace Amari.Training;

/// <summary>The folder and interval of a run's checkpoints. The folder holds the newest checkpoints and, in <c>best.safetensors</c>, the
/// weights of the best evaluation.</summary>
/// <param name="Directory">The folder of this run only. Other processes, and other runs of this one, are refused while the run
/// trains.</param>
/// <param name="Resume">Whether to continue from the newest valid checkpoint, if there is one.</param>
/// <param name="Interval">Training time between checkpoints. Another one is written at the end.</param>
public sealed record CheckpointOptions(string Directory, bool Resume, TimeSpan Interval)
{
    /// <summary>Whether the checkpoints only serve to continue after an interruption. Then no best weights are kept, a run that ends
    /// normally is not saved, and an unusable folder is a warning.</summary>
    internal bool IsTransient { get; init; }
}
