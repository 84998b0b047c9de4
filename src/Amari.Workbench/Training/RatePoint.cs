namespace Amari.Training;

/// <summary>The learning rate at an evaluation.</summary>
/// <param name="Step">Completed optimizer steps.</param>
/// <param name="Seconds">Training time so far, without evaluation.</param>
/// <param name="Rate">The rate of the next step, of the first parameter group.</param>
public readonly record struct RatePoint(long Step, double Seconds, double Rate);
