namespace Amari.Curvature;

/// <summary>The loss of a model on data as a function of its parameters: L(w), its gradient, and what curvature operators walk over.</summary>
/// <remarks>L is the mean (or the sum) over the terms of all batches. The model runs in evaluation mode, so that a product is repeatable,
/// and is put back afterwards. The data is walked once per call, and memory does not grow with the number of batches.</remarks>
public sealed class Objective
{
    private readonly nn.Module? _model;
    private readonly Func<IEnumerable<Piece>> _pieces;

    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output.</param>
    /// <param name="batches">Walked anew for each product; must give the same batches each time. Whoever makes the tensors disposes them.</param>
    /// <param name="parameters">Which parameters the loss is a function of; all trainable ones by default.</param>
    /// <param name="reduction">Mean or sum over terms.</param>
    public Objective(nn.Module<Tensor, Tensor> model, Likelihood likelihood, IEnumerable<(Tensor Inputs, Tensor Targets)> batches,
        ParameterLayout? parameters = null, LossReduction reduction = LossReduction.Mean)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        ArgumentNullException.ThrowIfNull(batches);
        (_model, Model, Likelihood, Reduction) = (model, model, likelihood, reduction);
        Parameters = parameters ?? ParameterLayout.Of(model);
        _pieces = () => batches.Select(b => new Piece(() => model.call(b.Inputs), b.Targets, likelihood));
    }

    /// <summary>Any differentiable function of the parameters: it has a Hessian, but no output and so no Fisher.</summary>
    /// <param name="loss">Computes L(w), a scalar with its graph.</param>
    /// <param name="parameters">w.</param>
    public Objective(Func<Tensor> loss, ParameterLayout parameters)
    {
        ArgumentNullException.ThrowIfNull(loss);
        ArgumentNullException.ThrowIfNull(parameters);
        Parameters = parameters;
        _pieces = () => [new Piece(loss, null, null)];
    }

    /// <summary>The model; null for a plain function.</summary>
    public nn.Module<Tensor, Tensor>? Model { get; }

    /// <summary>p(y | f); null for a plain function.</summary>
    public Likelihood? Likelihood { get; }

    /// <summary>w.</summary>
    public ParameterLayout Parameters { get; }

    /// <summary>Mean or sum over terms.</summary>
    public LossReduction Reduction { get; }

    /// <summary>L(w).</summary>
    public double Loss()
    {
        using var off = no_grad();
        double total = 0;
        long terms = Walk(false, p => total += p.Loss.to_type(ScalarType.Float64).ToDouble());
        return total / Divisor(terms);
    }

    /// <summary>L(w) and its gradient [d]; the caller owns it. The parameters' own <c>grad</c> is not touched.</summary>
    public (double Loss, Tensor Gradient) Gradient()
    {
        using var scope = NewDisposeScope();
        double loss = 0;
        var gradient = zeros(Parameters.Dimension, dtype: Parameters.Type, device: Parameters.Device);
        long terms = Walk(true, p =>
        {
            loss += p.Loss.detach().to_type(ScalarType.Float64).ToDouble();
            gradient.add_(Parameters.Flatten(Derivative(p.Loss, null)));
        });
        double divisor = Divisor(terms);
        return (loss / divisor, gradient.div_(divisor).MoveToOuterDisposeScope());
    }

    /// <summary>The sum over batches of a matrix shaped as V : [d, k], reduced as the loss is; fresh. Gradients are enabled inside.</summary>
    internal Tensor Sum(Tensor like, Func<Piece, IEnumerable<Tensor>> columns)
    {
        using var scope = NewDisposeScope();
        var total = zeros_like(like);
        long terms = Walk(true, piece =>
        {
            int k = 0;
            foreach (var column in columns(piece)) total.select(1, k++).add_(column);
        });
        return total.div_(Divisor(terms)).MoveToOuterDisposeScope();
    }

    /// <summary>Visits every batch, in a dispose scope of its own, with the model in evaluation mode and unseen by K-FAC.</summary>
    /// <returns>The terms of all batches.</returns>
    internal long Walk(bool gradients, Action<Piece> visit)
    {
        var modes = _model is null ? [] : new[] { _model }.Concat(_model.modules()).Select(m => (Module: m, m.training)).ToList();
        _model?.eval();
        using var unseen = Capture.Suspend();
        using var mode = set_grad_enabled(gradients);
        try
        {
            long terms = 0;
            foreach (var piece in _pieces())
                using (NewDisposeScope())
                {
                    visit(piece);
                    terms += piece.Terms;
                }
            return terms > 0 ? terms : throw new InvalidOperationException("There was no batch to take the curvature of.");
        }
        finally
        {
            foreach (var (module, training) in modes) module.train(training);   // it reaches down: outer modules first
        }
    }

    /// <summary>d output / d w applied to a cotangent: tensors shaped as the parameters, null where the output does not depend on one.</summary>
    /// <param name="output">Any tensor with a graph.</param>
    /// <param name="cotangent">Shaped as the output; null for a scalar.</param>
    /// <param name="again">Whether to keep the graph.</param>
    /// <param name="createGraph">Whether the result has a graph of its own.</param>
    internal IReadOnlyList<Tensor?> Derivative(Tensor output, Tensor? cotangent, bool again = false, bool createGraph = false) =>
        output.requires_grad
            ? Present(autograd.grad([output], Parameters.Tensors, cotangent is null ? null : [cotangent], again || createGraph, createGraph, allow_unused: true))
            : new Tensor?[Parameters.Parameters.Count];

    /// <summary>TorchSharp gives an unused tensor's gradient as an invalid handle.</summary>
    internal static IReadOnlyList<Tensor?> Present(IEnumerable<Tensor> gradients) => [.. gradients.Select(g => g is null || g.IsInvalid ? null : g)];

    private double Divisor(long terms) => Reduction == LossReduction.Mean ? terms : 1;

    /// <summary>One batch: its output and summed loss, computed once when first asked for.</summary>
    internal sealed class Piece(Func<Tensor> output, Tensor? target, Likelihood? likelihood)
    {
        /// <summary>f, with its graph.</summary>
        public Tensor Output => field ??= output();

        /// <summary>y.</summary>
        public Tensor Target => target ?? throw new InvalidOperationException("A plain function has a Hessian, but no output to take a Fisher or Gauss-Newton matrix of.");

        /// <summary>The loss summed over the batch's terms.</summary>
        public Tensor Loss => field ??= likelihood is null ? Output : likelihood.SumNegativeLogLikelihood(Output, Target);

        /// <summary>How many terms it sums over.</summary>
        public long Terms => likelihood?.Terms(Output) ?? 1;
    }
}
