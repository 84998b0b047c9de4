namespace Amari.Training;

/// <summary>How a run ended.</summary>
public enum RunStatus
{
    /// <summary>The budget was used up, or a least-squares method could do no more (<see cref="TrainingRun.Ending"/>), and the run kept
    /// its progress.</summary>
    Completed,

    /// <summary>The user stopped it. Its results are kept.</summary>
    Interrupted,

    /// <summary>The loss became infinite or NaN.</summary>
    Diverged,

    /// <summary>The budget was used up, but the run lost its progress: see <see cref="TrainingRun.CameApart"/>.</summary>
    CameApart,

    /// <summary>An exception ended it: see <see cref="TrainingRun.Failure"/>.</summary>
    Failed,
}
