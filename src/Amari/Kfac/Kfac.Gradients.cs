using Amari.Kernels;
using Amari.Native;

namespace Amari;

// Which gradients there are, what is forgotten with them, and what the passes that they are of gave to report.
public sealed partial class Kfac
{
    /// <summary>Leaves no gradient behind, and nothing of the curvature and terms of the passes it is of. A forward pass that is
    /// propagated back only afterwards counts.</summary>
    public override void zero_grad()
    {
        _fallback.zero_grad();
        foreach (var p in parameters())
            if (LibTorch.Gradient(p.Handle) != 0)
                p.grad = null;
        _capture.Forget();
        foreach (var block in _blocks)
            block.Discard();
    }

    private static bool HasGradient(CurvatureBlock block) => block.Parameters.Any(HasGradient);

    /// <summary>Whether the parameter moves: one that is frozen, or that no loss since <see cref="zero_grad"/> depends on, stays as it
    /// is.</summary>
    private static bool HasGradient(Parameter p) => LibTorch.Gradient(p.Handle) != 0 && p.requires_grad;

    /// <summary>Whether the gradient is more than zeros, as those that a module's own zero_grad may leave.</summary>
    private static bool IsUsed(CurvatureBlock block) => block.Parameters.Any(p => Gradient(p) is { } g && g.ne(0).any().ToBoolean());

    /// <summary>Dense; null if there is none.</summary>
    private static Tensor? Gradient(Parameter p) =>
        !HasGradient(p) ? null
        : p.grad is { is_sparse: true } sparse ? sparse.to_dense()
        : p.grad;

    private double SumOfSquares(IEnumerable<CurvatureBlock> blocks)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        _sweep.Clear();
        double others = 0; // of what the kernels do not take
        foreach (var p in blocks.SelectMany(b => b.Parameters).Where(HasGradient))
            if (!_sweep.TryAddGradient(default, LibTorch.Gradient(p.Handle)))
                others += Gradient(p)!.to_type(ScalarType.Float64).square().sum().ToDouble();
        return others + _sweep.SumOfSquares();
    }

    /// <inheritdoc/>
    /// <remarks>A batch with such a gradient leaves no trace: neither parameters nor momentum, factors nor schedule move by it.</remarks>
    internal override IReadOnlyList<string> NonFiniteGradients(double scale)
    {
        FollowModel();
        var own = _groups
            .SelectMany(g => g.Parameters)
            .Where(p => HasGradient(p.Parameter) && !_check.IsWithin(p.Parameter, GradientBound.Of(p.Parameter.dtype) / scale));
        return [.. own.Select(p => p.Name), .. _fallback.NonFiniteGradients(scale)];
    }

    /// <summary>Logs what the capture has to say, and what is of the whole model on standard error too.</summary>
    private void Log(List<(string Subject, string Message)> news)
    {
        foreach (var (subject, message) in news)
        {
            Log(subject, message);
            if (subject == "all")
                Warnings.Once("K-FAC: " + message + ".");
        }
        news.Clear();
    }
}
