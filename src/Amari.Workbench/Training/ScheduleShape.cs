namespace Amari.Training;

/// <summary>How a <see cref="Schedule"/> lowers the learning rate.</summary>
public enum ScheduleShape
{
    /// <summary>Not at all.</summary>
    Constant,

    /// <summary>Constant, then linear to zero over the last fifth of the budget.</summary>
    Linear,

    /// <summary>Half a cosine from the peak to zero.</summary>
    Cosine,
}
