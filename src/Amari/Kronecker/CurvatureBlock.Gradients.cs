using Amari.Native;

namespace Amari;

// The gradients of a layer's parameters.
internal abstract partial class CurvatureBlock
{
    /// <summary>Whether a parameter moves: one that is frozen, or that no loss since zero_grad depends on, stays as it is.</summary>
    public static bool HasGradient(Parameter p) => LibTorch.Gradient(p.Handle) != 0 && p.requires_grad;

    /// <summary>Dense; null if there is none.</summary>
    public static Tensor? Gradient(Parameter p) =>
        !HasGradient(p) ? null
        : p.grad is { is_sparse: true } sparse ? sparse.to_dense()
        : p.grad;

    /// <summary>Whether a parameter has a gradient.</summary>
    public bool IsReached => Parameters.Any(HasGradient);

    /// <summary>Whether a gradient is more than zeros, as those that a module's own zero_grad may leave.</summary>
    public bool IsUsed => Parameters.Any(p => Gradient(p) is { } g && g.ne(0).any().ToBoolean());

    /// <summary>V of the gradients, zeros where there is none; it may be a gradient itself.</summary>
    public Tensor JoinGradients() => Join([.. Parameters.Select(p => Gradient(p) ?? zeros_like(p))]);
}
