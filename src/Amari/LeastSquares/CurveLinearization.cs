using Amari.Native;
using Amari.Solvers;

namespace Amari.LeastSquares;

/// <summary>The linearization of n functions of few parameters, with J as a matrix.</summary>
/// <remarks>If the functions are pointwise, each gets parameters of its own, the columns of W : [d, n]. Then one backward pass of Σ r gives
/// J' = ∂Σr/∂W, and another one of Σ (J' ∘ v) its derivative along v, from which r'' = v'H v.</remarks>
internal sealed class CurveLinearization : Linearization
{
    private readonly Tensor _jacobian; // J' : [d, n]
    private readonly Tensor? _graph, // J' with its graph; null if it does not depend on the parameters
        _columns; // W, a leaf; null if J was made row by row
    private bool _isHeld;

    private CurveLinearization(Tensor r, Tensor jacobian, Tensor? graph = null, Tensor? columns = null) =>
        (R, _jacobian, _graph, _columns) = (r, jacobian, graph, columns);

    /// <summary>Of r at w; the caller disposes it.</summary>
    /// <param name="r">Functions [n] of parameters [d], and if they are pointwise, also of [d, n].</param>
    /// <param name="w">[d].</param>
    /// <param name="n">Their number.</param>
    /// <param name="pointwise">Whether they are.</param>
    /// <exception cref="InvalidOperationException">They have no derivative; the message says why.</exception>
    public static CurveLinearization Of(Func<Tensor, Tensor> r, Tensor w, long n, bool pointwise)
    {
        using var scope = NewDisposeScope();
        using var on = enable_grad();
        return pointwise
            ? ByColumns(r, CurveFunction.Repeated(w.detach(), n).requires_grad_(true))
            : ByRows(r, w.detach().clone().requires_grad_(true));
    }

    private static CurveLinearization ByColumns(Func<Tensor, Tensor> function, Tensor columns)
    {
        var r = function(columns);
        var graph = r.requires_grad ? ReverseMode.Derivative([r.sum()], [columns], createGraph: true)[0] : null;
        var jacobian = graph?.detach() ?? zeros_like(columns).detach();
        bool curved = graph is { requires_grad: true };
        return new(
            r.detach().clone().DetachFromDisposeScope(),
            jacobian.clone().DetachFromDisposeScope(),
            curved ? graph!.DetachFromDisposeScope() : null,
            columns.DetachFromDisposeScope()
        );
    }

    private static CurveLinearization ByRows(Func<Tensor, Tensor> function, Tensor w)
    {
        var r = function(w);
        var jacobian = zeros([w.shape[0], r.shape[0]], dtype: w.dtype, device: w.device);
        for (long i = 0; i < r.shape[0] && r.requires_grad; i++)
        {
            using var row = NewDisposeScope();
            if (ReverseMode.Derivative([r[i]], [w], again: true)[0] is { } g)
                jacobian.select(1, i).copy_(g);
        }
        return new(r.detach().clone().DetachFromDisposeScope(), jacobian.DetachFromDisposeScope());
    }

    /// <summary>Holds some parameters: the columns of J become zeros, so that no step moves them.</summary>
    /// <param name="held">Which : [d].</param>
    public void Hold(Tensor held)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        _jacobian.masked_fill_(held.unsqueeze(1), 0);
        _isHeld = held.any().ToBoolean();
    }

    /// <summary>Whether all numbers of J are finite.</summary>
    public bool IsFinite
    {
        get
        {
            using var scope = NewDisposeScope();
            return _jacobian.isfinite().all().ToBoolean();
        }
    }

    internal override bool IsHeld => _isHeld;

    /// <inheritdoc/>
    public override Tensor R { get; }

    /// <inheritdoc/>
    public override long Columns => _jacobian.shape[0];

    /// <summary>Whether <see cref="SecondDerivative"/> is known: the functions are pointwise.</summary>
    public bool HasSecondDerivative => _columns is not null;

    /// <summary>v'H_i v of every function : [n]; the caller owns it.</summary>
    /// <param name="v">[d].</param>
    /// <exception cref="InvalidOperationException">The functions have no second derivative.</exception>
    public Tensor SecondDerivative(Tensor v)
    {
        if (_graph is null)
            return zeros_like(R);
        using var scope = NewDisposeScope();
        using var on = enable_grad();
        var along = v.detach().unsqueeze(1);
        var derivative = ReverseMode.Derivative([(_graph * along).sum()], [_columns!], again: true)[0];
        return derivative is null
            ? zeros_like(R).MoveToOuterDisposeScope()
            : (derivative.detach() * along).sum([0L]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Apply(Tensor v)
    {
        using var off = no_grad();
        using var jacobian = _jacobian.t();
        return DenseLinearization.Product(jacobian, v);
    }

    /// <inheritdoc/>
    public override Tensor ApplyTransposed(Tensor u)
    {
        using var off = no_grad();
        return DenseLinearization.Product(_jacobian, u);
    }

    /// <inheritdoc/>
    public override Tensor Jacobian()
    {
        using var jacobian = _jacobian.t();
        return jacobian.clone();
    }

    /// <inheritdoc/>
    public override LinearOperator Normal => LinearOperator.FromFunction(Columns, R.dtype, v => Product(v, ApplyTransposed, Apply));

    /// <inheritdoc/>
    public override LinearOperator Gram => LinearOperator.FromFunction(Rows, R.dtype, u => Product(u, Apply, ApplyTransposed));

    private static Tensor Product(Tensor v, Func<Tensor, Tensor> last, Func<Tensor, Tensor> first)
    {
        using var inner = first(v);
        return last(inner);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            foreach (var tensor in (Tensor?[])[R, _jacobian, _graph, _columns])
                tensor?.Dispose();
        base.Dispose(disposing);
    }
}
