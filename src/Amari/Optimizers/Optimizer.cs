using System.Text.Json.Nodes;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

/// <summary>The base of all optimizers of Amari. It adds to TorchSharp's optimizer a coverage report, clipping, events, and a state that
/// can be saved.</summary>
/// <remarks>Owns its state, not the parameters. Not thread-safe: call <c>step</c> from the thread that trains.</remarks>
public abstract class Optimizer : optim.Optimizer
{
    static Optimizer()
    {
        ScalarRelease.Install();
        IdleThreads.Watch();
    }

    private readonly SkipWatch _skips;
    private bool _isDisposed;

    private protected Optimizer()
        : base(IntPtr.Zero) => _skips = new(EventLog);

    /// <summary>A step is made: the state is still there.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    private protected void RequireState() => ObjectDisposedException.ThrowIf(_isDisposed, this);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _isDisposed = true;
        base.Dispose(disposing);
    }

    /// <summary>Which method updates each parameter, and why.</summary>
    public abstract Coverage Coverage { get; }

    /// <summary>Bytes of the present optimizer state: moments, factors, inverses.</summary>
    public abstract long StateBytes { get; }

    /// <summary>Upper bound of the 2-norm of all gradients together, > 0; null (the default) for no clipping. It costs one read of the
    /// gradients. The scaling is fused into the step, and the tensors in <c>grad</c> do not change.</summary>
    public double? MaxGradientNorm
    {
        get;
        set => field = Require.PositiveOrNull(value);
    }

    /// <summary>The 2-norm of all gradients at the last step; NaN unless <see cref="MaxGradientNorm"/> is set.</summary>
    public double GradientNorm { get; private protected set; } = double.NaN;

    /// <summary>Number of steps that were clipped to <see cref="MaxGradientNorm"/>.</summary>
    public long ClippedSteps { get; private protected set; }

    /// <summary>Number of steps that were skipped because an entry of a gradient was NaN, infinite, or so large that its square is not
    /// finite (above 1.8e19 in float32). A skipped step changes nothing: weights, state and step counters stay as they are, bit for bit.
    /// <see cref="Events"/> names the first parameter with such a gradient. The forward pass has changed the running statistics of a
    /// BatchNorm before: if they are not finite, <see cref="Events"/> names them. Twenty skipped steps one after another are reported on
    /// standard error.
    /// One exception: AdamW and Lion with more than 2¹⁷ float32 parameters, full moments, no cautious masks and no
    /// <see cref="MaxGradientNorm"/> check only a sample of the gradients before the step. If they find such an entry during the step, they
    /// undo the step up to rounding. The error of a number is then about a unit in the last place, of the number or of what the step added,
    /// whichever is larger.</summary>
    public long SkippedSteps { get; private protected set; }

    /// <summary>Counts a skipped step, says so if there are only such, and looks at what the batch left in the model.</summary>
    /// <param name="reason">A clause: why.</param>
    /// <param name="made">How many steps were made so far.</param>
    private protected void CountSkipped(string reason, long made)
    {
        SkippedSteps++;
        _skips.Add(GetType().Name, reason, made, parameters(), Models);
    }

    /// <summary>The modules that the parameters are known to be of.</summary>
    private protected virtual IEnumerable<nn.Module> Models => [];

    /// <summary>What the user should know about, oldest first: skipped steps, failed factorisations, fallbacks.</summary>
    /// <remarks>A repeated event is counted in the message of its first occurrence.</remarks>
    public virtual IReadOnlyList<OptimizerEvent> Events => EventLog.Events;

    /// <summary>Where <see cref="Events"/> are kept.</summary>
    private protected EventLog EventLog { get; } = new();

    /// <summary>Whether the parameters hold the weights for evaluation, after <see cref="Eval"/>. Always false if these are the weights in
    /// training.</summary>
    public virtual bool Evaluating => false;

    /// <summary>Puts the weights for evaluation into the parameters: before evaluation, before saving the model, and at the end. With most
    /// methods these are the weights in training, and nothing changes.</summary>
    public virtual void Eval() { }

    /// <summary>Undoes <see cref="Eval"/>, bit for bit: the parameters hold the weights in training again.</summary>
    public virtual void Train() { }

    /// <summary>Gives the batch of the next step to methods that measure curvature on it. Call it before the forward pass. It has no effect
    /// with other methods.</summary>
    /// <param name="inputs">x, as the model takes it. Not owned.</param>
    /// <param name="targets">y, as the likelihood takes it. Not owned.</param>
    public virtual void UpdateCurvature(Tensor inputs, Tensor targets) { }

    /// <summary>Whether the method evaluates the loss itself, so that its step is <see cref="StepOnBatch"/> instead of <c>backward()</c>
    /// and <c>step()</c>.</summary>
    public virtual bool EvaluatesLoss => false;

    /// <summary>One step on a batch, by a method that evaluates the loss itself. It includes the gradients and all trial steps.</summary>
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

    /// <summary>The state by name. The tensors are those of the optimizer (do not dispose them); values are plain JSON.</summary>
    public abstract OptimizerSnapshot Snapshot();

    /// <summary>Continues from a snapshot of the same optimizer with the same parameter names and shapes. Its tensors are copied.</summary>
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

    /// <summary>Makes the optimizer one of several, on the ranks of a communicator, that take the same steps. The gradients must be
    /// averaged before each step (<see cref="DataParallel"/>). K-FAC then sums its factors and shares the inverses. Methods that take a
    /// batch (<see cref="UpdateCurvature"/>, <see cref="StepOnBatch"/>) sum what they measure on it. Every rank must make the same calls,
    /// including <see cref="Snapshot"/>, which is complete on rank 0.</summary>
    /// <param name="communicator">Not owned.</param>
    /// <param name="shardState">Whether elementwise optimizers divide their state over the ranks (ZeRO stage 1).</param>
    /// <exception cref="ArgumentException">The ranks differ in the optimizer, its options, the names or shapes of parameters, or the code.
    /// The message, which is the same on all ranks, says in which.</exception>
    /// <exception cref="InvalidOperationException">The optimizer has already taken steps.</exception>
    /// <exception cref="NotSupportedException">The communicator has several ranks, and the optimizer or its options do not support this.
    /// The message says why.</exception>
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

    /// <summary>With several ranks: the place of the examples of the next forward pass in the batch of all ranks. Random draws for them are
    /// then those of one process with the whole batch. Set it before each forward pass. Null (the default) takes the order of the ranks.
    /// K-FAC, which cannot ask the other ranks, then assumes the parts of <see cref="ShardedBatches"/>: the same batch size as before,
    /// otherwise parts of equal size. With other parts its draws are as good, but not those of one process.</summary>
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

    /// <summary>Loads what <see cref="Save"/> wrote; or, into <see cref="AdamW"/>, <see cref="Adam"/> and <see cref="Sgd"/>, what PyTorch
    /// saved: <c>torch.save(optimizer.state_dict(), path)</c>, also as the only such part of a dictionary.</summary>
    /// <remarks>PyTorch numbers the parameters; they are matched in the order of the groups here. Options that PyTorch does not have stay
    /// as they are.</remarks>
    /// <exception cref="InvalidDataException">The file is damaged, has numbers that are not finite or wrongly negative, or does not fit
    /// this optimizer.</exception>
    public void Load(string path)
    {
        if (PyTorchFile.Is(path))
        {
            using var saved = PyTorchFile.Load(path);
            Untrusted.Read(
                $"The optimizer's state in '{path}'",
                () =>
                {
                    SavedState.RequireFinite(saved.Tensors);
                    Restore(PyTorchState.Of(GetType(), Snapshot(), saved));
                }
            );
            return;
        }
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
