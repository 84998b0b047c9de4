using System.Text.Json.Nodes;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

/// <summary>What every optimizer of Amari offers beside TorchSharp's own contract: coverage, clipping, state that can be saved.</summary>
/// <remarks>Owns its state, not the parameters. Not thread-safe: step from the thread that trains.</remarks>
public abstract class Optimizer : optim.Optimizer
{
    static Optimizer()
    {
        ScalarRelease.Install();
        if (TorchLibrary.Status.State != TorchLibraryState.Failed)
            Kernels.IdleThreads.Watch();
    }

    private protected Optimizer()
        : base(IntPtr.Zero) { }

    /// <summary>Which parameter is updated by what, and why.</summary>
    public abstract Coverage Coverage { get; }

    /// <summary>Bytes of optimizer state held now: moments, factors, inverses.</summary>
    public abstract long StateBytes { get; }

    /// <summary>Largest allowed 2-norm of all gradients together; null (the default) for no clipping. Costs one read of the gradients: the
    /// scaling itself is fused into the step, and the gradients in <c>grad</c> stay as they are.</summary>
    public double? MaxGradientNorm
    {
        get;
        set => field = Require.PositiveOrNull(value);
    }

    /// <summary>The 2-norm of all gradients at the last step; NaN unless <see cref="MaxGradientNorm"/> is set.</summary>
    public double GradientNorm { get; private protected set; } = double.NaN;

    /// <summary>How many steps were clipped to <see cref="MaxGradientNorm"/>.</summary>
    public long ClippedSteps { get; private protected set; }

    /// <summary>How many steps were skipped because a gradient was not finite: an entry was NaN or infinite, or so large (above 1.8e19 in
    /// float32) that its square would be. By a skipped step nothing moves: weights, state and step counters stay as they are, bit for bit,
    /// and the next batch is taken as if this one had not been. <see cref="Events"/> names the first such parameter. With one exception:
    /// AdamW and Lion over more than 2¹⁷ float32 numbers, with moments in full, without cautious masks and without
    /// <see cref="MaxGradientNorm"/>, read only a sample of the gradients before a step. What they meet outside of it makes them take the
    /// step back to rounding, so that each number ends within about a unit in the last place of the larger of itself and of what the step
    /// added.</summary>
    public long SkippedSteps { get; private protected set; }

    /// <summary>What happened that the user should know of (a skipped step, a failed factorisation, a fall-back), oldest first.</summary>
    /// <remarks>The same thing happening again is counted in the message of the first time.</remarks>
    public virtual IReadOnlyList<OptimizerEvent> Events => EventLog.Events;

    /// <summary>Where <see cref="Events"/> are kept.</summary>
    private protected EventLog EventLog { get; } = new();

    /// <summary>Whether the parameters hold the weights to be used, put there by <see cref="Eval"/>, in place of those in training; false
    /// where the two are the same.</summary>
    public virtual bool Evaluating => false;

    /// <summary>Puts the weights to be used into the parameters, for evaluation, for saving the model and at the end; nothing where they
    /// are those in training, as with most methods.</summary>
    public virtual void Eval() { }

    /// <summary>Undoes <see cref="Eval"/>, bit for bit: the parameters hold the weights in training again.</summary>
    public virtual void Train() { }

    /// <summary>Shows the batch of the coming step, before its forward pass, to methods that measure curvature on it by themselves; nothing
    /// for the others.</summary>
    /// <param name="inputs">x, as the model takes it. Not owned.</param>
    /// <param name="targets">y, as the likelihood takes it. Not owned.</param>
    public virtual void UpdateCurvature(Tensor inputs, Tensor targets) { }

    /// <summary>Whether a step evaluates the loss itself, so that it is <see cref="StepOnBatch"/> in place of <c>backward()</c> and
    /// <c>step()</c>.</summary>
    public virtual bool EvaluatesLoss => false;

    /// <summary>One step on a batch by a method that evaluates the loss itself: gradients, trial steps and all.</summary>
    /// <param name="inputs">x, as the model takes it. Not owned.</param>
    /// <param name="targets">y, as the likelihood takes it. Not owned.</param>
    /// <returns>What the step did.</returns>
    /// <exception cref="InvalidOperationException">The optimizer was made without a model and a likelihood.</exception>
    /// <exception cref="NotSupportedException">The method takes gradients: call <c>backward()</c> and <c>step()</c>.</exception>
    public virtual StepReport StepOnBatch(Tensor inputs, Tensor targets) =>
        throw new NotSupportedException($"{GetType().Name} takes gradients: call backward() and step().");

    /// <summary>Σ g² over all gradients.</summary>
    internal virtual double SumOfSquaredGradients() =>
        throw new NotSupportedException($"{GetType().Name} cannot be a part of another optimizer.");

    /// <summary>The names of the parameters whose gradient, multiplied by <paramref name="scale"/>, no step can take: see
    /// <see cref="SkippedSteps"/>.</summary>
    internal virtual IReadOnlyList<string> NonFiniteGradients(double scale) => [];

    /// <summary>The step with all gradients multiplied by <paramref name="scale"/>, whatever <see cref="MaxGradientNorm"/> is; they are
    /// known to be finite.</summary>
    internal virtual void StepScaled(double scale) =>
        throw new NotSupportedException($"{GetType().Name} cannot be a part of another optimizer.");

    /// <summary>What a step does whose gradients were not finite, in place of <see cref="StepScaled"/>.</summary>
    internal virtual void Skip() { }

    /// <summary>The state by name: tensors alias the live ones (do not dispose them), values are plain JSON.</summary>
    public abstract OptimizerSnapshot Snapshot();

    /// <summary>Continues from a snapshot of the same optimizer over the same parameter names and shapes; its tensors are copied.</summary>
    /// <exception cref="InvalidDataException">The snapshot is of another optimizer, or names or shapes do not match. Nothing is changed
    /// then.</exception>
    public abstract void Restore(OptimizerSnapshot snapshot);

    /// <summary>What the snapshots of all optimizers begin with: type, schema, counts of steps, events.</summary>
    private protected JsonObject SnapshotHeader() =>
        new()
        {
            ["type"] = GetType().Name,
            ["schema"] = SavedState.Schema,
            ["clippedSteps"] = ClippedSteps,
            ["skippedSteps"] = SkippedSteps,
            ["events"] = EventLog.Save(),
        };

    /// <summary>Reads what <see cref="SnapshotHeader"/> wrote. Nothing is changed before the action that it returns is called.</summary>
    /// <exception cref="InvalidDataException">It is of another optimizer or a newer version, or a count is none.</exception>
    private protected Action ReadSnapshotHeader(JsonObject values)
    {
        SavedState.RequireHeader(values, GetType().Name);
        var (clipped, skipped) = (
            SavedState.Count(values, "clippedSteps", optional: true),
            SavedState.Count(values, "skippedSteps", optional: true)
        );
        return () =>
        {
            (ClippedSteps, SkippedSteps) = (clipped, skipped);
            EventLog.Load(values["events"]);
        };
    }

    /// <summary>Makes the optimizer one of several that step alike on the ranks of a communicator, whose gradients are averaged before each
    /// step (<see cref="DataParallel"/>). K-FAC then adds up its factors and shares out its inverses; methods that take the batch
    /// (<see cref="UpdateCurvature"/>, <c>Step</c>) add up what they measure on it. Every rank must make the same calls,
    /// <see cref="Snapshot"/> among them: it is complete on rank 0.</summary>
    /// <param name="communicator">Not owned.</param>
    /// <param name="shardState">Whether elementwise optimizers divide their state over the ranks (ZeRO stage 1).</param>
    /// <exception cref="ArgumentException">Ranks differ in the optimizer, its options, the names or shapes of parameters, or the code: the
    /// message, the same on all, says in what.</exception>
    /// <exception cref="InvalidOperationException">Steps were taken already.</exception>
    /// <exception cref="NotSupportedException">The communicator has several ranks, and the optimizer or its options cannot be shared so:
    /// the message says why.</exception>
    public void Distribute(Communicator communicator, bool shardState = false)
    {
        ArgumentNullException.ThrowIfNull(communicator);
        if (communicator.Size == 1)
            return;
        Fingerprint(shardState).Agree(communicator);
        RefuseUnshareable(communicator.Size, shardState);
        Share(communicator, shardState);
    }

    /// <summary>Throws what <see cref="Distribute"/> throws for what cannot be shared. Nothing is sent.</summary>
    internal virtual void RefuseUnshareable(int ranks, bool shardState) { }

    /// <summary><see cref="Distribute"/> over several ranks, which are known to be alike, of what is not refused.</summary>
    internal virtual void Share(Communicator communicator, bool shardState) { }

    /// <summary>The options of each group.</summary>
    private protected abstract IEnumerable<OptimizerOptions> OptionsOfGroups { get; }

    private Fingerprint Fingerprint(bool shardState)
    {
        var result = new Fingerprint()
            .AddCode(System.Reflection.Assembly.GetEntryAssembly())
            .Add("the optimizer", GetType().Name)
            .Add("shardState", shardState)
            .Add(nameof(MaxGradientNorm), MaxGradientNorm);
        foreach (var (options, i) in OptionsOfGroups.Select((o, i) => (o, i)))
            result.Add(Settings.Describe(options), i == 0 ? "" : $"group {i}'s ");
        foreach (var (row, i) in Coverage.Rows.Select((r, i) => (r, i)))
            result.Add($"parameter {i}", $"{row.Parameter} (by {row.Block})");
        foreach (var (parameter, i) in parameters().Select((p, i) => (p, i)))
            result.Add($"the shape of trained tensor {i}", $"{parameter.dtype}[{string.Join(", ", parameter.shape)}]");
        return result;
    }

    /// <summary>Over several ranks: where the examples of the coming forward pass lie in the batch of all ranks, so that what a method
    /// draws for them is what one process draws for the whole batch. Set it before each forward pass. Null (the default) is the order of
    /// the ranks. K-FAC, which cannot ask the others, then takes the batch as cut by <see cref="ShardedBatches"/>, of the same size as the
    /// one before or else of equal parts: another cut has draws of its own, which are as good but not those of one process.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The batch does not have such a part.</exception>
    public virtual BatchPart? BatchPart
    {
        get;
        set => field = value?.Checked();
    }

    /// <summary>Which part of the whole batch so many examples are; null for a process alone. All ranks must ask.</summary>
    private protected BatchPart? PartAmong(Communicator ranks, long examples) =>
        ranks.Size == 1 ? null
        : BatchPart is null ? ranks.PartOf(examples)
        : PartGiven(examples);

    /// <summary><see cref="BatchPart"/> for so many examples.</summary>
    private protected BatchPart PartGiven(long examples) =>
        BatchPart is { } given && given.Length == examples
            ? given
            : throw new InvalidOperationException(
                $"The pass is of {examples} examples, but {nameof(BatchPart)} says {BatchPart?.Length}: set it before each forward pass."
            );

    /// <summary>Moves the state to another device; the parameters are moved by their module.</summary>
    public abstract void to(Device device);

    /// <summary>The factor for all gradients, min(1, max / norm); NaN when the norm is not finite.</summary>
    private protected double ClipScale(double sumOfSquares)
    {
        GradientNorm = Math.Sqrt(sumOfSquares);
        if (!double.IsFinite(GradientNorm))
            return double.NaN;
        if (GradientNorm <= MaxGradientNorm)
            return 1;
        ClippedSteps++;
        return MaxGradientNorm!.Value / GradientNorm;
    }

    /// <summary>Saves the state to a safetensors file, atomically.</summary>
    public void Save(string path)
    {
        var snapshot = Snapshot();
        Safetensors.Save(path, snapshot.Tensors, new Dictionary<string, string> { ["optimizer"] = snapshot.Values.ToJsonString() });
    }

    /// <summary>Loads what <see cref="Save"/> wrote.</summary>
    /// <exception cref="InvalidDataException">The file is damaged, holds numbers that are not finite, or negative
    /// ones where there can be none, or does not fit this optimizer.</exception>
    public void Load(string path)
    {
        using var file = Safetensors.Load(path);
        if (!file.Metadata.TryGetValue("optimizer", out var values))
            throw new InvalidDataException($"'{path}' holds no optimizer state.");
        Untrusted.Read(
            $"The optimizer's state in '{path}'",
            () =>
            {
                SavedState.RequireFinite(file.Tensors);
                Restore(new(file.Tensors, SavedState.Parse(values, "optimizer")));
            }
        );
    }
}
