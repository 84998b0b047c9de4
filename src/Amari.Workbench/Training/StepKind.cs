namespace Amari.Training;

/// <summary>The steps of an optimizer at which the same work is due.</summary>
/// <param name="Interval">The number of steps between them, if no other work of a longer interval is due; 1 for steps without a
/// refresh.</param>
/// <param name="Options">The options that set the interval; none for steps without a refresh.</param>
/// <param name="Share">Their share of all steps in training, 0..1.</param>
/// <param name="Steps">Number of timed steps.</param>
/// <param name="Milliseconds">The spread of their times.</param>
public sealed record StepKind(int Interval, IReadOnlyList<string> Options, double Share, int Steps, Quartiles Milliseconds);
