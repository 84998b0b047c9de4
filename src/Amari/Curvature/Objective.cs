using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>The loss of a model on data as a function of its parameters: L(w), its gradient, and what curvature operators walk
/// over.</summary>
/// <remarks>L is the mean (or the sum) over the terms of all batches. The model runs in evaluation mode, so that a product is repeatable,
/// and is put back afterwards. The data is walked once per call, and memory does not grow with the number of batches. A batch without
/// examples is passed over.</remarks>
public sealed class Objective
{
    private readonly nn.Module? _model;
    private readonly Func<IEnumerable<Batch>> _batches;
    private bool? _callsBackward; // of a plain function; not known before the first call
    private Tensor? _backwardGradient; // [d], what the last call's backward left; belongs to that walk
    private bool? _depends; // the loss or output on a parameter, in this walk; null where no derivative was taken

    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output.</param>
    /// <param name="batches">Walked anew for each product; must give the same batches each time. Not owned, but
    /// tensors that the walk itself makes (as <c>indices.Select(i => (x[i], y[i]))</c> does) are disposed once their batch is done.</param>
    /// <param name="parameters">Which parameters the loss is a function of; all trainable ones by default.</param>
    /// <param name="reduction">Mean or sum over terms.</param>
    public Objective(
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        IEnumerable<(Tensor Inputs, Tensor Targets)> batches,
        ParameterLayout? parameters = null,
        LossReduction reduction = LossReduction.Mean
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        ArgumentNullException.ThrowIfNull(batches);
        (_model, Model, Likelihood, Reduction, Batches) = (model, model, likelihood, reduction, batches);
        Parameters = parameters ?? ParameterLayout.Of(model);
        _batches = () =>
            batches.Select((b, i) => new Batch(i, Ranks.Rank, Part, () => Call(b.Inputs, b.Targets), b.Inputs, b.Targets, likelihood));

        Tensor Call(Tensor x, Tensor y)
        {
            using var shown = MeasuredTargets.Show(y);
            return Unbatched.Refuse(model, x) ?? throw new InvalidOperationException($"The model {model.GetName()} returned null.");
        }
    }

    /// <summary>Any differentiable function of the parameters: it has a Hessian, but no output and so no Fisher.</summary>
    /// <param name="loss">Computes L(w), a scalar with its graph. It may call <c>backward</c> itself, as for <c>torch.optim.LBFGS</c>: then
    /// there is a gradient, but no Hessian.</param>
    /// <param name="parameters">w.</param>
    public Objective(Func<Tensor> loss, ParameterLayout parameters)
    {
        ArgumentNullException.ThrowIfNull(loss);
        ArgumentNullException.ThrowIfNull(parameters);
        Parameters = parameters;
        _batches = () => [new Batch(0, Ranks.Rank, null, () => Call(loss), null, null, null)];
    }

    /// <summary>The model; null for a plain function.</summary>
    public nn.Module<Tensor, Tensor>? Model { get; }

    /// <summary>p(y | f); null for a plain function.</summary>
    public Likelihood? Likelihood { get; }

    /// <summary>What it is the mean over; none for a plain function.</summary>
    internal IEnumerable<(Tensor Inputs, Tensor Targets)> Batches { get; } = [];

    /// <summary>w.</summary>
    public ParameterLayout Parameters { get; }

    /// <summary>Mean or sum over terms.</summary>
    public LossReduction Reduction { get; }

    /// <summary>Those over whose batches together L is the mean or the sum; each has batches of its own, or none. Then every call, and
    /// every product with a curvature, is made by all of them together and gives them the same; drawn targets differ from rank to rank,
    /// unless there is a <see cref="Part"/>.</summary>
    internal Communicator Ranks { get; init; } = SingleProcess.Instance;

    /// <summary>Which part of one batch of all <see cref="Ranks"/> the only batch here is: what is drawn for it is what one process draws
    /// for the whole. Null where each rank has batches of its own.</summary>
    internal BatchPart? Part { get; init; }

    /// <summary>L(w).</summary>
    public double Loss()
    {
        using var off = no_grad();
        double total = 0;
        long terms = Walk(false, p => total += p.Loss.to_type(ScalarType.Float64).ToDouble());
        return Ranks.Sum(total)[0] / Divisor(terms);
    }

    /// <summary>L(w) and its gradient [d]; the caller owns it. The parameters' own <c>grad</c> is not touched.</summary>
    public (double Loss, Tensor Gradient) Gradient()
    {
        using var scope = NewDisposeScope();
        double loss = 0;
        var gradient = zeros(Parameters.Dimension, dtype: Parameters.Type, device: Parameters.Device);
        long terms = Walk(
            true,
            p =>
            {
                var sum = p.Loss;
                loss += sum.detach().to_type(ScalarType.Float64).ToDouble();
                gradient.add_(_backwardGradient ?? Parameters.Flatten(Derivative(sum, null)));
            }
        );
        double divisor = Divisor(terms);
        AddOverRanks(gradient);
        return (Ranks.Sum(loss)[0] / divisor, gradient.div_(divisor).MoveToOuterDisposeScope());
    }

    /// <summary>Calls a plain function. One that calls backward leaves the gradient in the parameters: it is taken from there, and their
    /// own is put back.</summary>
    private Tensor Call(Func<Tensor> loss)
    {
        using var kept = new KeptGradients(Parameters.Parameters.Select(p => p.Parameter));
        using var mode = set_grad_enabled(_callsBackward != false || is_grad_enabled());
        var value = loss() ?? throw new InvalidOperationException("The function that computes the loss returned null.");
        if (value.numel() != 1 || value.is_complex())
            throw new ArgumentException(
                $"The loss must be one real number, a scalar; the function returned {value.dtype} [{string.Join(", ", value.shape)}]: "
                    + "take its mean or sum.",
                nameof(loss)
            );
        Tensor?[] left = [.. Parameters.Parameters.Select(p => LibTorch.Gradient(p.Parameter.Handle) == 0 ? null : p.Parameter.grad)];
        _callsBackward = Array.Exists(left, g => g is not null);
        using var off = no_grad();
        _backwardGradient = _callsBackward == true ? Parameters.Flatten(left) : null;
        return value;
    }

    /// <summary>Refuses a function that calls backward itself where a second derivative is needed.</summary>
    /// <exception cref="InvalidOperationException">It does.</exception>
    internal void RequireGraph()
    {
        if (_callsBackward == true)
            throw new InvalidOperationException(
                "The function of the loss calls backward() itself, which uses up the graph that second derivatives need: return the "
                    + "differentiable loss without calling backward(), or take Lbfgs, which needs gradients alone."
            );
    }

    /// <summary>Visits every batch, in a dispose scope of its own, with the model in evaluation mode and unseen by K-FAC.</summary>
    /// <returns>The terms of all batches, those of all ranks.</returns>
    /// <exception cref="InvalidOperationException">There is no term; the derivatives that were taken are all absent; or the ranks are not
    /// in the same walk, for they have come to different decisions.</exception>
    internal long Walk(bool gradients, Action<Batch> visit)
    {
        var modes = _model is null ? [] : new[] { _model }.Concat(_model.modules()).Select(m => (Module: m, m.training)).ToList();
        if (gradients)
            Parameters.RequireGradients();
        using var unseen = TrainingPasses.Suspend();
        using var mode = set_grad_enabled(gradients);
        // of the CPU's attention too; its backward pass has no derivative, the plain one's has
        bool flash = backends.cuda.flash_sdp_enabled();
        try
        {
            if (flash && gradients)
                backends.cuda.enable_flash_sdp(false);
            _model?.eval();
            using var made = NewDisposeScope(); // what the enumeration makes
            long terms = 0;
            Batch? last = null;
            _depends = null;
            foreach (var batch in _batches())
            {
                last?.Release(made, batch);
                last = batch;
                if (batch.IsEmpty)
                    continue;
                using var scope = NewDisposeScope();
                var output = batch.Output; // the forward pass, in this scope
                if (gradients && _callsBackward != true)
                    _depends = output.requires_grad ? _depends : _depends == true;
                terms += batch.Terms;
                visit(batch);
            }
            double[] sums = Ranks.Sum(terms, gradients ? 1 : 0, _depends == true ? 1 : 0, _depends == false ? 1 : 0);
            if (sums[1] != (gradients ? Ranks.Size : 0))
                throw new InvalidOperationException(
                    "Ranks have come to different decisions, as processors or numbers of threads that round differently make them: give "
                        + "all ranks the same."
                );
            if (sums[2] == 0 && sums[3] > 0)
                throw DerivativeFailure.NoGraph();
            return sums[0] > 0 ? (long)sums[0] : throw new InvalidOperationException("There was no batch to take the curvature of.");
        }
        finally
        {
            if (flash && gradients)
                backends.cuda.enable_flash_sdp(true);
            foreach (var (module, training) in modes)
                module.train(training); // it reaches down: outer modules first
        }
    }

    /// <summary>d output / d w applied to a cotangent: tensors shaped as the parameters, null where the output does not depend on
    /// one.</summary>
    /// <param name="output">Any tensor with a graph.</param>
    /// <param name="cotangent">Shaped as the output; null for a scalar.</param>
    /// <param name="again">Whether to keep the graph.</param>
    /// <param name="createGraph">Whether the result has a graph of its own.</param>
    internal IReadOnlyList<Tensor?> Derivative(Tensor output, Tensor? cotangent, bool again = false, bool createGraph = false) =>
        Derivative(output, cotangent, [.. Parameters.Tensors], again, createGraph);

    /// <summary>The same for some of the parameters.</summary>
    internal IReadOnlyList<Tensor?> Derivative(
        Tensor output,
        Tensor? cotangent,
        Tensor[] parameters,
        bool again = false,
        bool createGraph = false
    )
    {
        if (cotangent is null ? output.numel() != 1 : cotangent.dtype != output.dtype || !cotangent.shape.SequenceEqual(output.shape))
            throw new ArgumentException(
                $"The output is {Describe(output)}; its cotangent is "
                    + $"{(cotangent is null ? "left out, which needs a scalar" : Describe(cotangent))}.",
                nameof(cotangent)
            );
        var derivative = output.requires_grad
            ? ReverseMode.Derivative([output], parameters, cotangent is null ? null : [cotangent], again, createGraph)
            : new Tensor?[parameters.Length];
        _depends = _depends == true || derivative.Any(d => d is not null);
        return derivative;

        static string Describe(Tensor t) => $"{t.dtype} [{string.Join(", ", t.shape)}]";
    }

    /// <summary>Makes this rank's sum that of all.</summary>
    internal void AddOverRanks(Tensor sum)
    {
        if (Ranks.Size > 1)
            Ranks.AllReduce(sum);
    }

    /// <summary>What sums over terms are divided by.</summary>
    internal double Divisor(long terms) => Reduction == LossReduction.Mean ? terms : 1;

    /// <summary>One batch: its output is computed once.</summary>
    internal sealed class Batch(
        int index,
        int rank,
        BatchPart? part,
        Func<Tensor> output,
        Tensor? inputs,
        Tensor? target,
        Likelihood? likelihood
    )
    {
        /// <summary>The source of this batch's draws: the same in every walk, another for every batch of every rank; for parts of one
        /// batch that of the whole.</summary>
        public Generator Draws(long seed, Device device) =>
            new(unchecked((ulong)HashSeed.OfRank(seed, Rows is null ? rank : 0) * 0x9E3779B97F4A7C15 + (ulong)index), device);

        /// <summary>A random vector for every term, as <see cref="Likelihood.Draw"/> makes it.</summary>
        public Tensor Draw(FisherKind kind, Tensor f, Generator draws) => likelihood!.Draw(kind, f, draws, Rows);

        private BatchPart? Rows => part?.InRows(Output.shape[0]);

        /// <summary>Whether there is no example in it.</summary>
        public bool IsEmpty => inputs is { } x && x.dim() > 0 && x.shape[0] == 0;

        /// <summary>Disposes the inputs and targets that belong to a scope, unless the next batch has them too.</summary>
        public void Release(DisposeScope scope, Batch next)
        {
            foreach (var t in Data.Where(t => t is not null && scope.Contains(t) && !Array.Exists(next.Data, n => ReferenceEquals(n, t))))
                t!.Dispose();
        }

        private Tensor?[] Data => [inputs, target];

        /// <summary>f, with its graph.</summary>
        public Tensor Output => field ??= output();

        /// <summary>f at the parameters as they are at the call.</summary>
        public Tensor Reevaluate() => output();

        /// <summary>y.</summary>
        public Tensor Target =>
            target
            ?? throw new InvalidOperationException(
                "A plain function has a Hessian, but no output to take a Fisher or Gauss-Newton matrix of."
            );

        /// <summary>The loss summed over the batch's terms; made anew each time.</summary>
        public Tensor Loss => likelihood is null ? Output : likelihood.SumNegativeLogLikelihood(Output, Target);

        /// <summary>How many terms it sums over.</summary>
        public long Terms =>
            likelihood is null ? 1
            : target is null ? likelihood.Terms(Output)
            : likelihood.Terms(Output, target);

        /// <summary>1 for terms that count and 0 for others, shaped to multiply an output; null if all do, as far as targets are
        /// known.</summary>
        public Tensor? Counted => target is null ? null : likelihood?.Counted(Output, target);

        /// <summary>A tensor shaped as the output, changed so that the terms which the targets leave out are 0.</summary>
        public Tensor OfCounted(Tensor x) => Counted is { } counted ? x.mul_(counted) : x;
    }
}
