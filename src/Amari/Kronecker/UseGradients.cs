using Amari.Native;

namespace Amari.Kronecker;

/// <summary>What the uses of layers in one backward pass show of the gradients of their parameters.</summary>
internal sealed class UseGradients
{
    private readonly Dictionary<CurvatureBlock, (Tensor V, double Size)> _sums = [];

    /// <summary>Adds a use with the gradient at its output.</summary>
    public void Add(LayerUse use, Tensor g)
    {
        var (v, size) = use.Block.Gradient(use.Input, g);
        v = v.MoveToOuterDisposeScope();
        _sums[use.Block] = _sums.TryGetValue(use.Block, out var sum) ? (sum.V.add_(v), sum.Size + size) : (v, size);
    }

    /// <summary>The sum over a block's uses, null if no gradient came; and the size that its rounding is relative to.</summary>
    public (Tensor? V, double Size) Of(CurvatureBlock block) => _sums.TryGetValue(block, out var sum) ? sum : (null, 0);
}
