namespace Amari.Training;

/// <summary>Spaces the evaluations of a run so that they take at most a fifth of the wall time, those at its start and its end
/// included.</summary>
/// <remarks>A run that is too short for more is only evaluated at its start and its end, and these two may take more.</remarks>
internal static class EvaluationSpacing
{
    /// <summary>Training per evaluation, by their times.</summary>
    private const double TrainingPerEvaluation = 4;

    /// <summary>The seconds that the next evaluation is expected to take: the median, so that one that waited for compilation or for
    /// another process does not keep a run without evaluations.</summary>
    /// <param name="seconds">Those of this run so far, at least one.</param>
    /// <param name="least">The shortest of earlier runs; infinite if there is none.</param>
    public static double Cost(IReadOnlyList<double> seconds, double least)
    {
        var sorted = seconds.Append(least).Where(double.IsFinite).Order().ToList();
        return sorted[(sorted.Count - 1) / 2];
    }

    /// <summary>By the clock: as many evaluations as the rest of the run allows, at equal distances.</summary>
    /// <param name="seconds">Training time so far.</param>
    /// <param name="last">Training time at the last evaluation.</param>
    /// <param name="budget">Training time of the whole run.</param>
    /// <param name="spent">Seconds of all evaluations so far.</param>
    /// <param name="cost">Seconds that an evaluation is expected to take.</param>
    public static bool IsDue(double seconds, double last, double budget, double spent, double cost)
    {
        double allowed = Math.Floor((budget / TrainingPerEvaluation - spent) / cost); // the one at the end included
        return allowed >= 2 && seconds - last >= (budget - last) / allowed;
    }

    /// <summary>By examples, independent of any clock: at every multiple of <paramref name="spacing"/> that leaves as many steps to the
    /// end.</summary>
    /// <param name="step">Steps so far.</param>
    /// <param name="steps">Steps of the whole run.</param>
    /// <param name="spacing">Steps between evaluations, of <see cref="Steps"/>.</param>
    public static bool IsDue(long step, long steps, long spacing) => step % spacing == 0 && steps - step >= spacing;

    /// <summary>Steps between evaluations if training sees at least three times as many examples as an evaluation. A training example is a
    /// forward and a backward pass, three times the work of evaluating it: evaluations then take at most a tenth of the work, and two more
    /// at the start and the end at most a fifth.</summary>
    /// <param name="examples">Examples of an evaluation.</param>
    /// <param name="batch">Examples of a step.</param>
    public static long Steps(long examples, int batch) => (3 * examples + batch - 1) / batch;
}
