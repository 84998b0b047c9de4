using Amari.Kronecker;
using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>K-FAC's damped inverse as an operator: a solver of its own, or a preconditioner for <see cref="ConjugateGradient"/>.</summary>
/// <remarks>See <see cref="DampingMethod"/>. The residual is that of (C + λ I) x = b for both methods.</remarks>
public sealed class KroneckerFactoredInverse : InverseOperator, IDisposable
{
    private readonly KroneckerFactored _factored;
    private readonly double _damping;
    private readonly bool _measureResidual;
    private readonly InverseStatus _status;
    private readonly List<BlockInverse> _inverses = [];

    internal KroneckerFactoredInverse(KroneckerFactored factored, double damping, DampingMethod method, bool measureResidual)
        : base(factored.Damped(damping))
    {
        (_factored, _damping, _measureResidual) = (factored, damping, measureResidual);
        using var off = no_grad();
        List<string> messages = [];
        foreach (var block in factored.Blocks)
        {
            var (inverse, reports) = block.Invert(method, damping);
            _inverses.Add(inverse);
            messages.AddRange(reports.Select(m => $"{block.Name}: {m}"));
        }
        Messages = messages;
        _status = method != DampingMethod.FactoredTikhonov && messages.Count == 0 ? InverseStatus.Solved : InverseStatus.Approximate;
    }

    /// <summary>What happened to factorisations that failed at first, by layer; usually empty.</summary>
    public IReadOnlyList<string> Messages { get; }

    private protected override (Tensor X, InverseReport Report) Solve(Tensor b)
    {
        var x = CurvatureBlock.Map(_factored.Blocks, _factored.Parameters, b, 1 / _damping, (i, v) => _inverses[i].Apply(v, _damping));
        if (!_measureResidual)
            return (x, new(_status, 0, null));
        using var cx = Inverted.Apply(x);
        using var r = b - cx;
        return (x, new(_status, 0, Relative(r, b)));
    }

    /// <summary>Frees the inverses; the factors belong to the <see cref="KroneckerFactored"/>.</summary>
    public void Dispose()
    {
        foreach (var inverse in _inverses)
            inverse.Dispose();
        _inverses.Clear();
    }
}
