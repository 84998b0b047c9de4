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
        using var scope = NewDisposeScope();
        return (_model.call(_rows).reshape(-1) / Math.Sqrt(_rows.shape[0])).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>One forward and one backward pass: see <see cref="ModelResiduals"/>.</remarks>
    public override Linearization Linearize()
    {
        using var none = zeros([_rows.shape[0], 1], dtype: _rows.dtype, device: _rows.device);
        return new ModelResiduals(_model, new SquaredError(), _rows, none, Parameters, Ranks).Linearize();
    }
}
