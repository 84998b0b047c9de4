using Amari.Curvature;
using Amari.Distributed;
using Amari.Native;

namespace Amari;

/// <summary>This rank's part of a step's batch, and what of it a quadratic model's curvature is taken from.</summary>
internal sealed class ModelBatch : IDisposable
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly Likelihood _likelihood;
    private readonly Tensor _inputs;
    private readonly Tensor? _targets;
    private readonly long _first;
    private ModelBatch? _whole; // that it is a part of
    private Tensor? _output; // f of the model's examples, from the model to the step

    /// <param name="ranks">All ranks; null for one process.</param>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">Of its output.</param>
    /// <param name="inputs">x.</param>
    /// <param name="targets">If they are known, they show which terms count.</param>
    /// <param name="score">At the outputs; null where it is not known.</param>
    /// <param name="first">How many examples come first in the batch of all ranks; null for all.</param>
    public ModelBatch(
        Communicator? ranks,
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        Tensor inputs,
        Tensor? targets,
        Tensor? score = null,
        long? first = null
    )
    {
        (Ranks, _model, _likelihood, _inputs, _targets) = (ranks, model, likelihood, inputs, targets);
        (Score, _first) = (score, first ?? inputs.shape[0]);
    }

    /// <summary>The batch of the pass that the gradients are of.</summary>
    /// <param name="estimate">What saw the pass.</param>
    /// <param name="likelihood">Of the model's output.</param>
    /// <param name="reduction">Of the training loss.</param>
    /// <param name="most">How many examples the model is made of over all ranks; null for all.</param>
    /// <returns>Null where no pass was seen.</returns>
    public static ModelBatch? Of(KroneckerEstimate estimate, Likelihood likelihood, LossReduction reduction, long? most)
    {
        var (passes, model, ranks) = (estimate.Capture, (nn.Module<Tensor, Tensor>)estimate.Model, estimate.World);
        long first = most ?? long.MaxValue;
        if (ranks is not null)
        {
            double[] counts = new double[ranks.Size];
            counts[ranks.Rank] = passes.LiveExamples;
            first -= (long)ranks.Sum(counts).Take(ranks.Rank).Sum();
            if (passes.LiveExamples == 0)
                return new(ranks, model, likelihood, zeros(0), null); // other ranks have some
        }
        if (passes.LastBatch(reduction) is not var (inputs, targets, score))
            return null;
        bool comparable = !model.modules().Append(model).Any(m => m.training && (IsRandom(m) || m is TorchSharp.Modules.BatchNorm));
        return new(ranks, model, likelihood, inputs, targets, comparable ? score : null, Math.Clamp(first, 0, inputs.shape[0]));
    }

    /// <summary>All ranks; null for one process.</summary>
    public Communicator? Ranks { get; }

    /// <summary>At the outputs; null where it is not known, or of another function than the model in evaluation mode, as far as its modules
    /// show: slopes cannot be compared then.</summary>
    public Tensor? Score { get; }

    /// <summary>Whether there are more examples here than the model is made of.</summary>
    public bool HasMore => _first < _inputs.shape[0];

    /// <summary>The first examples, as many as the model is made of.</summary>
    public ModelBatch Part
    {
        get
        {
            long all = _inputs.shape[0];
            if (_first == all)
                return this;
            var score = Score is { } s && s.shape[0] == all ? s.narrow(0, 0, _first) : null;
            return new(Ranks, _model, _likelihood, _inputs.narrow(0, 0, _first), _targets?.narrow(0, 0, _first), score) { _whole = this };
        }
    }

    /// <summary>Their loss as a function of the parameters of blocks.</summary>
    public Objective ObjectiveOf(List<Direction> steps) =>
        new(
            _model,
            _likelihood,
            [(_inputs, _targets!)],
            new(steps.SelectMany(s => s.Block.Parameters.Select((p, i) => ($"{s.Block.Name}.{i}", p))))
        )
        {
            Ranks = Ranks ?? SingleProcess.Instance,
        };

    /// <summary>Keeps f, a copy, for the next <see cref="OutputOf"/>, if it is of the model's examples. Ranks keep nothing: one without
    /// examples would compute alone.</summary>
    public void Keep(Tensor output)
    {
        if (HasMore || Ranks is not null)
            return;
        var whole = _whole ?? this;
        whole._output?.Dispose();
        whole._output = output.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>Frees what is kept.</summary>
    public void Dispose()
    {
        _output?.Dispose();
        _output = null;
    }

    /// <summary>f of the model's examples, in evaluation mode: what was kept since the last call, or computed. Null where this rank has
    /// none. The caller owns it.</summary>
    public Tensor? OutputOf(List<Direction> steps)
    {
        if (_output is { } kept)
        {
            _output = null;
            return kept;
        }
        Tensor? output = null;
        Part.ObjectiveOf(steps).Walk(false, p => output = p.Output.detach().clone().DetachFromDisposeScope());
        return output;
    }

    /// <summary>What a step did to the predictions of the model's examples.</summary>
    /// <remarks>The change of the loss needs no targets: where f are natural parameters, L(f') - L(f) = s'(f' - f) + KL( p(f) ‖ p(f') ),
    /// with s the score at f.</remarks>
    /// <param name="steps">The step.</param>
    /// <param name="before">f, as <see cref="OutputOf"/> gave it.</param>
    /// <returns>The KL divergence, mean over terms; and whether the loss rose, or may have.</returns>
    public (double Divergence, bool Rose) ChangeOf(List<Direction> steps, Tensor? before)
    {
        using var after = OutputOf(steps);
        double divergence = 0,
            along = 0,
            terms = 0;
        if (before is not null && after is not null)
        {
            (divergence, terms) = (Sum(_likelihood.KlDivergence(before, after)), _likelihood.Terms(before));
            along = _likelihood.IsNatural && Part.Score is { } score ? Sum(score.mul(after - before)) : double.PositiveInfinity;
        }
        if (Ranks?.Sum(divergence, along, terms) is { } sums)
            (divergence, along, terms) = (sums[0], sums[1], sums[2]);
        return (divergence / terms, !(divergence + along <= 0));

        static double Sum(Tensor t) => t.sum().to_type(ScalarType.Float64).ToDouble();
    }

    /// <summary>Whether a module draws numbers in training.</summary>
    public static bool IsRandom(nn.Module module) =>
        module is Dropout or Dropout1d or Dropout2d or Dropout3d or AlphaDropout or FeatureAlphaDropout;
}
