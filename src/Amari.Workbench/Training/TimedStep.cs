namespace Amari.Training;

/// <summary>The time of a step, with batch, forward and backward pass.</summary>
/// <param name="Milliseconds">Wall time.</param>
/// <param name="CpuMilliseconds">Processor time of all threads of the process.</param>
internal readonly record struct TimedStep(double Milliseconds, double CpuMilliseconds);
