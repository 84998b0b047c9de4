using Amari.Curvature;
using Amari.Native;

namespace Amari.LeastSquares;

/// <summary>The residuals of a <see cref="PdeModel"/> at fixed points, divided by √n, so that ½ ‖r‖² is the mean loss over the n
/// rows.</summary>
public sealed class PdeResiduals : Residuals
{
    private readonly PdeModel _model;
    private readonly Tensor _rows;

    /// <param name="model">Not owned.</param>
    /// <param name="rows">[n, d + 1] as <see cref="PdeModel.Rows"/> gives it, n ≥ 1; not owned.</param>
    public PdeResiduals(PdeModel model, Tensor rows)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.dim() != 2 || rows.shape[0] == 0)
            throw new ArgumentException($"The rows are [{string.Join(", ", rows.shape)}]; they must be [n, d + 1], n >= 1.", nameof(rows));
        (_model, _rows, Parameters) = (model, rows, ParameterLayout.Of(model));
    }

    /// <inheritdoc/>
    public override ParameterLayout Parameters { get; }

    /// <inheritdoc/>
    public override Tensor Values()
    {
        using var off = no_grad();
        using var f = _model.call(_rows);
        return Scaled(f);
    }

    /// <inheritdoc/>
    public override Linearization Linearize()
    {
        using var on = enable_grad();
        using var scope = NewDisposeScope();
        var r = Scaled(_model.call(_rows));
        Tensor[] w = [.. Parameters.Tensors];
        var rows = new List<Tensor>();
        for (long n = 0; n < r.shape[0]; n++)
            rows.Add(Parameters.Flatten(ReverseMode.Derivative([r[n]], w, again: true)));
        return new DenseLinearization(r.detach().MoveToOuterDisposeScope(), stack(rows).MoveToOuterDisposeScope());
    }

    private static Tensor Scaled(Tensor f) => f.reshape(-1) / Math.Sqrt(f.shape[0]);
}
