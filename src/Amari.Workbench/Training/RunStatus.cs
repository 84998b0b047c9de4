namespace Amari.Training;

/// <summary>How a run ended.</summary>
public enum RunStatus
{
    /// <summary>The budget was used up, and the run kept what it had reached.</summary>
    Completed,

    /// <summary>The user stopped it; what was done is kept.</summary>
    Interrupted,

    /// <summary>The loss became infinite or NaN.</summary>
    Diverged,

    /// <summary>The budget was used up, but the run lost what it had reached: see <see cref="TrainingRun.CameApart"/>.</summary>
    CameApart,

    /// <summary>An exception ended it; <see cref="TrainingRun.Failure"/> has it.</summary>
    Failed,
}
