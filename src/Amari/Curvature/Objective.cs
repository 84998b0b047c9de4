using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>The loss of a model on data as a function of its parameters: L(w), its gradient, and the batches that curvature operators
/// iterate over.</summary>
/// <remarks>L is the mean (or the sum) over the terms of all batches. The model runs in evaluation mode, so that products are repeatable,
/// and its mode is restored afterwards. Each call iterates over the data once. Memory does not grow with the number of batches. Batches
/// without examples are skipped.</remarks>
/// <example><code>
/// using Amari.Curvature;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var objective = new Objective(model, new Categorical(), [(x, y)]);
/// var (loss, gradient) = objective.Gradient();            // over all batches
/// Console.WriteLine($"{loss}, |g| = {gradient.norm().ToDouble()}");
/// </code></example>
public sealed class Objective
{
    private readonly nn.Module? _model;
    private readonly Func<IEnumerable<Batch>> _batches;
    private bool? _callsBackward; // for a plain function; unknown before the first call
    private bool? _differentiates; // whether model or function take derivatives themselves; unknown before the first call
    private Tensor? _backwardGradient; // [d], left by the last call's backward; owned by that walk
    private bool? _depends; // whether the loss or output depends on a parameter, in this walk; null if no derivative was taken

    static Objective() => IdleThreads.Watch();

    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output.</param>
    /// <param name="batches">Enumerated again for each product; must give the same batches each time. Not owned. Tensors that the
    /// enumeration itself creates (as <c>indices.Select(i => (x[i], y[i]))</c> does) are disposed after their batch.</param>
    /// <param name="parameters">The parameters of the function; by default all trainable ones.</param>
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
            batches.Select(
                (b, i) => new Batch(i, Ranks.Rank, Part, () => Call(b.Inputs, b.Targets), b.Inputs, b.Targets, likelihood, Rows(b.Inputs))
            );

        static long Rows(Tensor x) => x.is_integral() || x.dim() < 2 ? x.numel() : x.numel() / Math.Max(1, x.size(-1));

        Tensor Call(Tensor x, Tensor y)
        {
            using var shown = MeasuredTargets.Show(y);
            return Evaluated(() =>
                Unbatched.Refuse(model, x) ?? throw new InvalidOperationException($"The model {model.GetName()} returned null.")
            );
        }
    }

    /// <summary>Evaluates a function, with gradients enabled where it takes derivatives itself, as physics-informed losses do. The value
    /// has a graph only if gradients are enabled outside.</summary>
    private Tensor Evaluated(Func<Tensor> function)
    {
        bool outside = is_grad_enabled(),
            inside = outside || _differentiates == true || (_differentiates is null && !GuardedFunctions.SeesDerivatives);
        long before = ReverseMode.Calls;
        Tensor value;
        try
        {
            using var mode = set_grad_enabled(inside);
            value = function();
        }
        catch (Exception) when (!inside && ReverseMode.Calls > before) // without a graph there is no derivative
        {
            using var mode = set_grad_enabled(true);
            (inside, value) = (true, function());
        }
        if (GuardedFunctions.SeesDerivatives)
            _differentiates = ReverseMode.Calls > before;
        return inside && !outside ? value.detach() : value;
    }

    /// <summary>Any differentiable function of the parameters. It has a Hessian, but no output and therefore no Fisher.</summary>
    /// <param name="loss">Computes L(w), a scalar with its graph. It may call <c>backward</c> itself, as for <c>torch.optim.LBFGS</c>; then
    /// there is a gradient, but no Hessian.</param>
    /// <param name="parameters">w.</param>
    public Objective(Func<Tensor> loss, ParameterLayout parameters)
    {
        ArgumentNullException.ThrowIfNull(loss);
        ArgumentNullException.ThrowIfNull(parameters);
        Parameters = parameters;
        _batches = () => [new Batch(0, Ranks.Rank, null, () => Call(loss), null, null, null, 0)];
    }

    /// <summary>The model; null for a plain function.</summary>
    public nn.Module<Tensor, Tensor>? Model { get; }

    /// <summary>p(y | f); null for a plain function.</summary>
    public Likelihood? Likelihood { get; }

    /// <summary>The batches over which L is the mean; none for a plain function.</summary>
    internal IEnumerable<(Tensor Inputs, Tensor Targets)> Batches { get; } = [];

    /// <summary>w.</summary>
    public ParameterLayout Parameters { get; }

    /// <summary>Mean or sum over terms.</summary>
    public LossReduction Reduction { get; }

    /// <summary>Bytes, ≥ 0, that the graphs of batches may take which are kept between the products of a run
    /// (<see cref="Solvers.LinearOperator.BeginRun"/>). The graphs of further batches are made for each product; 0 keeps none.</summary>
    public long GraphBudget
    {
        get;
        init => field = Require.AtLeast(0, value);
    } = 512L << 20;

    /// <summary>The ranks over whose batches L is the mean or the sum. Each rank has its own batches, or none. All ranks must take part in
    /// every call and in every product with a curvature, and all get the same result. Drawn targets differ between ranks, unless there is
    /// a <see cref="Part"/>.</summary>
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

    /// <summary>L(w) and its gradient [d]; the caller owns it. The parameters' own <c>grad</c> does not change.</summary>
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

    /// <summary>Calls a plain function. If it calls backward, its gradient is taken from the parameters and their previous gradient is
    /// restored.</summary>
    private Tensor Call(Func<Tensor> loss)
    {
        using var kept = new KeptGradients(Parameters.Parameters.Select(p => p.Parameter));
        using var mode = set_grad_enabled(_callsBackward != false || is_grad_enabled());
        var value = Evaluated(() => loss() ?? throw new InvalidOperationException("The function that computes the loss returned null."));
        if (value.numel() != 1 || value.is_complex())
            throw new ArgumentException(
                $"The loss must be a real scalar; the function returned {value.dtype} [{string.Join(", ", value.shape)}]: "
                    + "take its mean or sum.",
                nameof(loss)
            );
        Tensor?[] left = [.. Parameters.Parameters.Select(p => LibTorch.Gradient(p.Parameter.Handle) == 0 ? null : p.Parameter.grad)];
        _callsBackward = Array.Exists(left, g => g is not null);
        using var off = no_grad();
        _backwardGradient = _callsBackward == true ? Parameters.Flatten(left) : null;
        return value;
    }

    /// <summary>Refuses a function that calls backward itself, where a second derivative is needed.</summary>
    /// <exception cref="InvalidOperationException">The function calls backward.</exception>
    internal void RequireGraph()
    {
        if (_callsBackward == true)
            throw new InvalidOperationException(
                "The loss function calls backward() itself, which uses up the graph that second derivatives need: return the "
                    + "differentiable loss without calling backward(), or use Lbfgs, which needs only gradients."
            );
    }

    /// <summary>Visits every batch in its own dispose scope, with the model in evaluation mode and without capture by K-FAC.</summary>
    /// <param name="gradients">Whether outputs have a graph.</param>
    /// <param name="visit">Called with each batch.</param>
    /// <param name="graphs">Those of earlier walks, which are used again; null for none.</param>
    /// <returns>The number of terms of all batches of all ranks.</returns>
    /// <exception cref="InvalidOperationException">There is no term, all derivatives are absent, or the ranks are in different walks
    /// because they made different decisions.</exception>
    internal long Walk(bool gradients, Action<Batch> visit, BatchGraphs? graphs = null)
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
            using var made = NewDisposeScope(); // tensors that the enumeration creates
            long terms = 0;
            Batch? last = null;
            _depends = null;
            foreach (var given in graphs?.Whole ?? _batches())
            {
                last?.Release(made, given);
                last = given;
                if (given.IsEmpty)
                    continue;
                var batch = graphs?.Kept(given) ?? given;
                using (Float32Products.OwnPass(given.Rows, Parameters.Parameters.Select(p => p.Parameter), _model))
                using (NewDisposeScope())
                {
                    var output = batch.Output; // the forward pass, in this scope
                    if (gradients && _callsBackward != true)
                        _depends = output.requires_grad ? _depends : _depends == true;
                    terms += batch.Terms;
                    visit(batch);
                }
                graphs?.Settle();
            }
            graphs?.Complete();
            double[] sums = Ranks.Sum(terms, gradients ? 1 : 0, _depends == true ? 1 : 0, _depends == false ? 1 : 0);
            if (sums[1] != (gradients ? Ranks.Size : 0))
                throw new InvalidOperationException(
                    "Ranks made different decisions, as processors or thread counts with different rounding can cause: give "
                        + "all ranks the same processor and thread count."
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
                module.train(training); // train() sets submodules too: outer modules first
        }
    }

    /// <summary>d output / d w applied to a cotangent: tensors with the shapes of the parameters, null if the output does not depend on
    /// one.</summary>
    /// <param name="output">Any tensor with a graph.</param>
    /// <param name="cotangent">With the shape of the output; null for a scalar.</param>
    /// <param name="again">Whether to keep the graph.</param>
    /// <param name="createGraph">Whether the result has its own graph.</param>
    internal IReadOnlyList<Tensor?> Derivative(Tensor output, Tensor? cotangent, bool again = false, bool createGraph = false) =>
        Derivative(output, cotangent, [.. Parameters.Tensors], again, createGraph);

    /// <summary>d output / d w for some of the parameters.</summary>
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
                    + $"{(cotangent is null ? "missing, which requires a scalar" : Describe(cotangent))}.",
                nameof(cotangent)
            );
        var derivative = output.requires_grad
            ? ReverseMode.Derivative([output], parameters, cotangent is null ? null : [cotangent], again, createGraph)
            : new Tensor?[parameters.Length];
        _depends = _depends == true || derivative.Any(d => d is not null);
        return derivative;

        static string Describe(Tensor t) => $"{t.dtype} [{string.Join(", ", t.shape)}]";
    }

    /// <summary>Replaces this rank's sum by the sum over all ranks.</summary>
    internal void AddOverRanks(Tensor sum)
    {
        if (Ranks.Size > 1)
            Ranks.AllReduce(sum);
    }

    /// <summary>The divisor of sums over terms.</summary>
    internal double Divisor(long terms) => Reduction == LossReduction.Mean ? terms : 1;

    /// <summary>One batch: its output is computed once.</summary>
    internal sealed class Batch(
        int index,
        int rank,
        BatchPart? part,
        Func<Tensor> output,
        Tensor? inputs,
        Tensor? target,
        Likelihood? likelihood,
        long rows
    )
    {
        /// <summary>The source of this batch's draws: the same in every walk, another for every batch of every rank; for parts of one
        /// batch that of the whole.</summary>
        public Generator Draws(long seed, Device device) =>
            new(unchecked((ulong)HashSeed.OfRank(seed, OwnPart is null ? rank : 0) * 0x9E3779B97F4A7C15 + (ulong)index), device);

        /// <summary>A random vector for every term, as <see cref="Likelihood.Draw"/> makes it.</summary>
        public Tensor Draw(FisherKind kind, Tensor f, Generator draws) => likelihood!.Draw(kind, f, draws, OwnPart);

        private BatchPart? OwnPart => part?.InRows(Output.shape[0]);

        /// <summary>Its place among the batches of a walk.</summary>
        public int Index => index;

        /// <summary>The same batch, whose output and targets outlive the walk. The caller owns these tensors.</summary>
        /// <param name="own">Called with each.</param>
        public Batch Outliving(Action<Tensor> own)
        {
            return new(index, rank, part, () => Own(output()), null, target is null ? null : Own(target), likelihood, rows);

            Tensor Own(Tensor t)
            {
                var shared = LibTorch.Shared(t.Handle).DetachFromDisposeScope();
                GC.KeepAlive(t);
                own(shared);
                return shared;
            }
        }

        /// <summary>How many rows its inputs have: examples, or positions of all examples; 0 for a plain function.</summary>
        public long Rows => rows;

        /// <summary>Whether it has no examples.</summary>
        public bool IsEmpty => inputs is { } x && x.dim() > 0 && x.shape[0] == 0;

        /// <summary>Disposes inputs and targets that belong to a scope, unless the next batch also uses them.</summary>
        public void Release(DisposeScope scope, Batch next)
        {
            foreach (var t in Data.Where(t => t is not null && scope.Contains(t) && !Array.Exists(next.Data, n => ReferenceEquals(n, t))))
                t!.Dispose();
        }

        private Tensor?[] Data => [inputs, target];

        /// <summary>f, with its graph.</summary>
        public Tensor Output => field ??= output();

        /// <summary>f at the current parameters.</summary>
        public Tensor Reevaluate() => output();

        /// <summary>y.</summary>
        public Tensor Target =>
            target
            ?? throw new InvalidOperationException(
                "A plain function has a Hessian, but no Fisher or Gauss-Newton matrix, because it has no output."
            );

        /// <summary>The loss summed over the batch's terms; computed at each access.</summary>
        public Tensor Loss => likelihood is null ? Output : likelihood.SumNegativeLogLikelihood(Output, Target);

        /// <summary>The number of terms in the sum.</summary>
        public long Terms =>
            likelihood is null ? 1
            : target is null ? likelihood.Terms(Output)
            : likelihood.Terms(Output, target);

        /// <summary>1 for terms that count and 0 for ignored ones, shaped to multiply an output; null if all count or the targets are
        /// unknown.</summary>
        public Tensor? Counted => target is null ? null : likelihood?.Counted(Output, target);

        /// <summary>Sets the ignored terms of a tensor with the shape of the output to 0, in place.</summary>
        public Tensor OfCounted(Tensor x) => Counted is { } counted ? x.mul_(counted) : x;
    }
}
