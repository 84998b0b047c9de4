namespace Amari.Training;

/// <summary>The solution of a <see cref="Workloads.PdeWorkload"/> and the error of a network during training, over a plane of the
/// domain.</summary>
/// <param name="Axes">The names of both axes.</param>
/// <param name="X">The points of the first axis.</param>
/// <param name="Y">The points of the second axis.</param>
/// <param name="Where">The other coordinates, in words; empty if there are none.</param>
/// <param name="Solution">u at (X[i], Y[j]) as element i · Y.Count + j.</param>
/// <param name="Frames">Some evaluations in order: the first, the last and evenly spaced others.</param>
internal sealed record SolutionField(
    IReadOnlyList<string> Axes,
    IReadOnlyList<double> X,
    IReadOnlyList<double> Y,
    string Where,
    IReadOnlyList<float> Solution,
    IReadOnlyList<SolutionFrame> Frames
);

/// <summary>The network at an evaluation.</summary>
/// <param name="Step">Completed optimizer steps.</param>
/// <param name="Seconds">Training time so far, without evaluation.</param>
/// <param name="Error">Network minus solution, ordered as the solution.</param>
internal sealed record SolutionFrame(long Step, double Seconds, IReadOnlyList<float> Error);
