using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>The data of a workload. Owns both sets.</summary>
/// <param name="Train">The training set.</param>
/// <param name="Test">The held-out examples, by which runs are judged; null if there are none. The metric is then measured on the examples
/// of the loss.</param>
/// <param name="Measured">The part of the training set over which reported losses are means; null for all of it.</param>
public sealed record WorkloadData(Dataset Train, Dataset? Test, Dataset? Measured = null) : IDisposable
{
    /// <summary>Examples that pass through the model at once in an evaluation.</summary>
    internal const int EvaluationChunk = 1000;

    private const double ValidationShare = 0.1;
    private const int SplitSeed = 0;

    /// <summary>The subject of a run's event that has <see cref="NotFinite"/>.</summary>
    internal const string EventSubject = "data";

    /// <summary>The examples by which tuning chooses, which are no part of <see cref="Train"/>; null for a tenth of the training set, which
    /// tuning trials then do not train on.</summary>
    public Dataset? Validation { get; init; }

    /// <summary>The examples of all ranks for a step, drawn from its seed and number; the receiver disposes them. They are as many as a
    /// batch of the workload. Null to take batches from <see cref="Train"/>; reported losses are means over that in either case.</summary>
    /// <remarks>It has to be repeatable: a resumed run then equals an uninterrupted one, and all ranks see the same batch.</remarks>
    public Func<int, long, Dataset>? Draw { get; init; }

    /// <summary>What limits results on these data, in one sentence; null if nothing is known.</summary>
    internal string? Caution { get; init; }

    /// <summary>The data of tuning trials: the validation part is held out, and the test set is missing. A copy; the caller disposes
    /// it.</summary>
    internal WorkloadData ForTuning()
    {
        long validation = Validation is null ? Math.Max(1, (long)(ValidationShare * Train.Count)) : 0;
        if (validation >= Train.Count)
            throw new ArgumentException($"There is {Train.Count} training example; tuning needs at least 2, for training and validation.");
        var (rest, part) = validation > 0 ? Train.Split(validation, SplitSeed) : (Train.Copy(), Validation!.Copy());
        return new(rest, part, Measured is null ? null : rest.Sample(Math.Min(Measured.Count, rest.Count), SplitSeed)) { Draw = Draw };
    }

    /// <inheritdoc cref="Dataset.Aligned()"/>
    internal WorkloadData Aligned() =>
        new(Train.Aligned(), Test?.Aligned(), Measured?.Aligned())
        {
            Validation = Validation?.Aligned(),
            Draw = Draw,
            Caution = Caution,
        };

    /// <summary>How many numbers are infinite or NaN, and where, in one sentence; null if there is none.</summary>
    internal string? NotFinite()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        List<string> places =
        [
            .. from part in ((string Name, Tensor? Numbers)[])
                [
                    ("training inputs", Train.Inputs),
                    ("training targets", Train.Targets),
                    ("held-out inputs", Test?.Inputs),
                    ("held-out targets", Test?.Targets),
                ]
            where part.Numbers?.is_floating_point() == true
            let count = part.Numbers.isfinite().logical_not_().sum().ToInt64()
            where count > 0
            select FormattableString.Invariant($"{count:N0} in the {part.Name}"),
        ];
        return places.Count == 0 ? null : $"The data contain numbers that are not finite: {string.Join(", ", places)}.";
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Train.Dispose();
        Test?.Dispose();
        Measured?.Dispose();
        Validation?.Dispose();
    }
}
