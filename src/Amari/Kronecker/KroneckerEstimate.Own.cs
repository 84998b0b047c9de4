using System.Text.Json.Nodes;
using Amari.Distributed;
using Amari.Kronecker;
using Amari.Native;
using Amari.Serialization;

namespace Amari.Curvature;

// An estimate of one's own, which no optimizer steps by.
public sealed partial class KroneckerEstimate
{
    private readonly Own? _own;
    private long _steps;

    /// <summary>Of a model's layers, by itself: for one's own optimizer, a preconditioner of conjugate gradient, or Laplace.</summary>
    /// <param name="model">Of one or two tensors to a tensor. Not owned; hooks are removed when the estimate is disposed.</param>
    /// <param name="likelihood">p(y | f) of its output; null for a Fisher of the training loss's own gradients.</param>
    /// <param name="options">Which Fisher, how often, and how it is inverted; defaults if null.</param>
    /// <param name="parameters">The parameters that are meant; all trainable ones if null.</param>
    /// <param name="reduction">Whether the loss that is propagated back is the mean or the sum over terms.</param>
    /// <param name="seed">Of the draws.</param>
    /// <exception cref="ArgumentException">Options that do not go together, or that need a likelihood or several ranks.</exception>
    public KroneckerEstimate(
        nn.Module model,
        Likelihood? likelihood = null,
        CurvatureOptions? options = null,
        ParameterLayout? parameters = null,
        LossReduction reduction = LossReduction.Mean,
        long seed = 0
    )
        : this(
            model ?? throw new ArgumentNullException(nameof(model)),
            (parameters ??= ParameterLayout.Of(model)).Parameters,
            likelihood,
            seed,
            new Own(options ?? new(), Require.Defined(reduction))
        )
    {
        (_own, _layout) = ((Own)_owner, parameters);
        Arm(1, keepsBatch: false, keepsOutputs: 0);
    }

    /// <summary>λ > 0 of the next inverses, in units of <see cref="CurvatureOptions.DampingScale"/>; the inverses
    /// <see cref="InverseOptions.Eigenbasis"/> and <see cref="InverseOptions.EigenvalueCorrection"/> follow it at once. Of an optimizer's
    /// estimate it is the optimizer's.</summary>
    public double Damping
    {
        get => _owner.Damping;
        set => Mine.Damping = value;
    }

    /// <summary>What was not measured or inverted as asked for, by layer (<c>all</c> for the whole model), each once; an optimizer has its
    /// own events.</summary>
    public IReadOnlyList<(string Layer, string Message)> Reports => _own?.Reports ?? [];

    private Own Mine =>
        _own
        ?? throw new InvalidOperationException("This estimate is an optimizer's, which updates it with each step: make one of your own.");

    /// <summary>Gives the targets of the next forward pass, where they leave terms out of the loss (labels -100).</summary>
    /// <param name="targets">y, as the likelihood takes it. Not owned.</param>
    /// <exception cref="InvalidOperationException">The estimate is an optimizer's.</exception>
    public void SetTargets(Tensor targets)
    {
        ArgumentNullException.ThrowIfNull(targets);
        _ = Mine;
        Capture.SetTargets(targets);
    }

    /// <summary>Takes the forward passes that a loss was propagated back through since the last update into the running factors, and
    /// inverts those, each where <see cref="CurvatureOptions.Refresh"/> says that it is due: call it once a step, after
    /// <c>backward()</c>.</summary>
    /// <exception cref="InvalidOperationException">Factors are due and there was no such pass, or the estimate is an
    /// optimizer's.</exception>
    public void Update()
    {
        _ = Mine;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        Capture.Complete();
        if (Capture.Active && Capture.LivePasses == 0)
            throw new InvalidOperationException(
                "There was no pass to measure: call the model by call(x), not forward(x), and backward() on the loss before Update()."
            );
        FollowModel();
        Update(++_steps);
        foreach (var block in _blocks.Where(b => !b.IsMeasured && b.IsUsed))
            block.IsAwaited = true;
        Finish(_steps, (null, 1));
        Arm(_steps + 1, keepsBatch: false, keepsOutputs: 0);
    }

    /// <summary>The state by name; tensors alias the live ones (do not dispose them), values are plain JSON. Options are not a part of
    /// it.</summary>
    /// <exception cref="InvalidOperationException">The estimate is an optimizer's.</exception>
    public OptimizerSnapshot Snapshot()
    {
        var tensors = new Dictionary<string, Tensor>();
        var values = new JsonObject
        {
            ["type"] = nameof(KroneckerEstimate),
            ["step"] = _steps,
            ["damping"] = Mine.Damping,
        };
        Save(tensors, values);
        return new(tensors, values);
    }

    /// <summary>Continues from a snapshot, bit for bit, of an estimate of the same model with the same options.</summary>
    /// <param name="snapshot">Copied.</param>
    /// <exception cref="InvalidDataException">It is of something else; nothing has changed.</exception>
    /// <exception cref="InvalidOperationException">The estimate is an optimizer's.</exception>
    public void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var own = Mine;
        using var scope = NewDisposeScope();
        var (tensors, values) = snapshot;
        if (values["type"]?.ToString() is var type and not nameof(KroneckerEstimate))
            throw new InvalidDataException($"The state is of {type ?? "nothing"}, not of a {nameof(KroneckerEstimate)}.");
        var updates = values["blocks"] as JsonObject ?? [];
        if (!updates.Select(b => b.Key).ToHashSet().SetEquals(_blocks.Select(b => b.Name)))
            throw new InvalidDataException("The state is of a model with other layers.");
        long Count(JsonNode? of, string name) =>
            of?[name] is JsonValue v && v.TryGetValue(out long count) && count >= 0
                ? count
                : throw new InvalidDataException($"The saved '{name}' is {of?[name]?.ToJsonString() ?? "missing"}; it must be at least 0.");
        long? Updates(string block) => Count(updates, block);
        long steps = Count(values, "step");
        if (
            !(values["damping"] is JsonValue saved && saved.TryGetValue(out double damping) && damping is > 0 and < double.PositiveInfinity)
        )
            throw new InvalidDataException($"The saved 'damping' is {values["damping"]?.ToJsonString() ?? "missing"}; it must be above 0.");
        Check(tensors, Updates);
        HashSet<string> awaited = [.. (values["awaited"] as JsonArray ?? []).Select(n => $"{n}")];
        Untrusted.Read("The state of the estimate", () => Restore(tensors, values, Updates, awaited, own.Reports));
        (own.Damping, _steps) = (damping, steps);
        Arm(_steps + 1, keepsBatch: false, keepsOutputs: 0);
    }

    /// <summary>What an estimate goes by that no optimizer owns.</summary>
    private sealed class Own : IEstimateOwner
    {
        public Own(CurvatureOptions options, LossReduction reduction)
        {
            options.Validate();
            if (options.Distribution != new DistributionOptions())
                throw new ArgumentException("Distribution is of an optimizer over several ranks: leave it out.", nameof(options));
            (Curvature, Reduction) = (options, reduction);
        }

        public CurvatureOptions Curvature { get; }

        public LossReduction Reduction { get; }

        public List<(string Layer, string Message)> Reports { get; } = [];

        public double Damping
        {
            get;
            set => field = Require.Positive(value);
        } = 3e-4;

        public double Identity => Curvature.IdentityStart ?? 0;

        public bool IsModelled => false;

        public BatchPart? BatchPart => null;

        public TimeProvider Clock => TimeProvider.System;

        public double DampingOf(CurvatureBlock block) => Damping;

        public void Log(string subject, string message)
        {
            if (!Reports.Contains((subject, message)))
                Reports.Add((subject, message));
        }

        public void Lose(CurvatureBlock block, string reason) => Log(block.Name, reason);
    }
}
