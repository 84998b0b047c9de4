using Amari.Kernels;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

// Which gradients there are, what is forgotten with them, and what the passes that they are of gave to report.
public sealed partial class Kfac
{
    private readonly GradientCheck _check = new();
    private readonly Sweep _sweep = new();

    /// <summary>Leaves no gradient behind, and nothing of the curvature and terms of the passes it is of. A forward pass that is
    /// propagated back only afterwards counts.</summary>
    public override void zero_grad()
    {
        FollowModel();
        _fallback.zero_grad();
        foreach (var p in parameters())
            if (LibTorch.Gradient(p.Handle) != 0)
                p.grad = null;
        Estimate.Forget();
    }

    private double SumOfSquares(IEnumerable<CurvatureBlock> blocks)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        _sweep.Clear();
        double others = 0; // of what the kernels do not take
        foreach (var p in blocks.SelectMany(b => b.Parameters).Where(CurvatureBlock.HasGradient))
            if (!_sweep.TryAddGradient(default, LibTorch.Gradient(p.Handle)))
                others += CurvatureBlock.Gradient(p)!.to_type(ScalarType.Float64).square().sum().ToDouble();
        return others + _sweep.SumOfSquares();
    }

    /// <inheritdoc/>
    /// <remarks>A batch with such a gradient leaves no trace: neither parameters nor momentum, factors nor schedule move by it.</remarks>
    internal override IReadOnlyList<string> NonFiniteGradients(double scale)
    {
        FollowModel();
        var own = _groups
            .SelectMany(g => g.Parameters)
            .Where(p =>
                CurvatureBlock.HasGradient(p.Parameter) && !_check.IsWithin(p.Parameter, GradientBound.Of(p.Parameter.dtype) / scale)
            );
        return [.. own.Select(p => p.Name), .. _fallback.NonFiniteGradients(scale)];
    }
}
