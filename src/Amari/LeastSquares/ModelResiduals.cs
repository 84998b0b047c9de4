using Amari.Curvature;
using Amari.Distributed;
using Amari.Native;

namespace Amari.LeastSquares;

/// <summary>The residuals of a model on data, so that ½ ‖r‖² is its mean loss without constants.</summary>
/// <remarks><code>
/// -log p(y | f) = |y - f|² / (2 σ²) + const,    M examples
/// r_(m, k) = (f_mk - y_mk) / (σ √M)             row m K + k, for K outputs of an example
/// </code>The model runs in evaluation mode, and its mode is restored. One forward pass and K backward passes give the whole Jacobian
/// (<see cref="LayerCapture"/>) of a model whose trained parameters all belong to Linear, Conv1d or Conv2d layers. With others (norms,
/// embeddings), each example has its own passes, which is slow: <see cref="Linearization.Fallback"/> says why, and one line on standard
/// error. Examples must not depend on each other.</remarks>
public sealed class ModelResiduals : Residuals
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly Likelihood _likelihood;
    private readonly Tensor _inputs,
        _targets;
    private readonly double _precision;

    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">With a negative logarithm that is a sum of squares: <see cref="SquaredError"/> or
    /// <see cref="Gaussian"/>.</param>
    /// <param name="inputs">x : [M, ..]. Not owned.</param>
    /// <param name="targets">y, shaped as the model's output. Not owned.</param>
    /// <exception cref="ArgumentException">The likelihood's loss is not a sum of squares; or the model has no trainable
    /// parameter.</exception>
    public ModelResiduals(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor inputs, Tensor targets)
        : this(model, likelihood, inputs, targets, null, SingleProcess.Instance) { }

    internal ModelResiduals(
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        Tensor inputs,
        Tensor targets,
        ParameterLayout? parameters,
        Communicator ranks
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        _precision = PrecisionOf(likelihood);
        (_model, _likelihood, _inputs, _targets, Ranks) = (model, likelihood, inputs, targets, ranks);
        Parameters = parameters ?? ParameterLayout.Of(model);
    }

    /// <inheritdoc/>
    public override ParameterLayout Parameters { get; }

    internal override Communicator Ranks { get; }

    /// <summary>1 / σ².</summary>
    /// <exception cref="ArgumentException">The likelihood's loss is not a sum of squares.</exception>
    internal static double PrecisionOf(Likelihood likelihood)
    {
        ArgumentNullException.ThrowIfNull(likelihood);
        return likelihood.Precision
            ?? throw new ArgumentException(
                $"The loss of {likelihood.GetType().Name} is not a sum of squared residuals: use NaturalGradient, HessianFree or Kfac, "
                    + "which take any likelihood.",
                nameof(likelihood)
            );
    }

    /// <inheritdoc/>
    public override Tensor Values()
    {
        using var scope = NewDisposeScope();
        Tensor? values = null;
        long terms = Objective().Walk(false, batch => values = Residuals(batch).DetachFromDisposeScope());
        return Scaled(values, terms).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Linearization Linearize()
    {
        using var scope = NewDisposeScope();
        Tensor? values = null;
        CapturedJacobian? jacobian = null;
        double examples = Ranks.Sum(_inputs.shape[0])[0]; // as a rule the terms
        try
        {
            jacobian = ModelJacobian.Of(Objective(), Cotangents, out long terms);
            if (terms != examples)
                jacobian.Scale(Math.Sqrt(examples / terms));
            return new CapturedLinearization(Scaled(values, terms).DetachFromDisposeScope(), jacobian, Parameters, Ranks);
        }
        catch
        {
            jacobian?.Dispose();
            throw;
        }

        IReadOnlyList<Tensor> Cotangents(Objective.Batch batch)
        {
            using var off = no_grad();
            values?.Dispose();
            values = Residuals(batch).DetachFromDisposeScope();
            long outputs = values.shape[0] / batch.Output.shape[0];
            var cotangents = new Tensor[outputs];
            for (long k = 0; k < outputs; k++)
            {
                cotangents[k] = zeros(batch.Output.shape[0], outputs, dtype: batch.Output.dtype, device: batch.Output.device);
                cotangents[k].select(1, k).fill_(Math.Sqrt(_precision / examples));
                cotangents[k] = cotangents[k].view(batch.Output.shape);
            }
            return cotangents;
        }
    }

    /// <summary>The same residuals with the exact second derivative of a <see cref="CurveModel"/>; null for other models, and for several
    /// ranks.</summary>
    internal CurveResiduals? OfCurve()
    {
        if (_model is not CurveModel curve || Ranks.Size > 1)
            return null;
        var y = _targets.to_type(Parameters.Type);
        return new(
            curve.Function,
            _inputs,
            y,
            curve.B,
            full_like(y, Math.Sqrt(_precision / y.shape[0])),
            RobustLoss.Squares,
            lossScale: 1,
            bounds: null
        );
    }

    /// <summary>The part of the mean loss that is the same for all parameters, which ½ ‖r‖² leaves out.</summary>
    internal double Constant()
    {
        if (_likelihood.ConstantOfOutput == 0)
            return 0;
        double[] sums = Ranks.Sum(_targets.numel(), _targets.shape[0]);
        return _likelihood.ConstantOfOutput * sums[0] / sums[1];
    }

    private Objective Objective() => new(_model, _likelihood, [(_inputs, _targets)], Parameters) { Ranks = Ranks };

    /// <summary>(f - y) / σ² : [n K].</summary>
    private Tensor Residuals(Objective.Batch batch) => _likelihood.Score(batch.Output, batch.Target).reshape(-1);

    private Tensor Scaled(Tensor? scores, long terms)
    {
        using var score = scores ?? zeros(0, dtype: Parameters.Type, device: Parameters.Device); // a rank without examples
        return score.mul(1 / Math.Sqrt(_precision * terms));
    }
}
