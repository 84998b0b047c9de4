using Amari.Solvers;

namespace Amari.Kronecker;

/// <summary>A damped inverse of one block's curvature.</summary>
internal abstract class BlockInverse : IDisposable
{
    /// <summary>The mean eigenvalue of the undamped block; 1 where the damping is in the inverse already.</summary>
    public abstract double MeanEigenvalue { get; }

    /// <summary>The damped inverse times V; a fresh tensor.</summary>
    public abstract Tensor Apply(Tensor v, double damping);

    /// <summary>What must be saved, by name.</summary>
    public abstract IEnumerable<(string Name, Tensor Tensor)> Tensors();

    /// <summary>The same of other tensors, which it owns.</summary>
    public abstract BlockInverse Map(Func<Tensor, Tensor> map);

    /// <summary>What a factorisation that was not <see cref="FactorisationOutcome.Clean"/> came to; null for one that was.</summary>
    /// <param name="outcome">How it went.</param>
    /// <param name="what">The factor.</param>
    /// <param name="hasPrevious">Whether there is an inverse of before.</param>
    public static string? Report(FactorisationOutcome outcome, string what, bool hasPrevious) =>
        outcome == FactorisationOutcome.Clean
            ? null
            : $"the factorisation of {what} failed at first; "
                + outcome switch
                {
                    FactorisationOutcome.Jittered => "it succeeded with a little added to the diagonal",
                    FactorisationOutcome.DoublePrecision => "it succeeded in float64",
                    _ when hasPrevious => "the previous inverse stays in use",
                    _ => "a multiple of the identity is used until the next refresh",
                };

    /// <summary>A saved tensor is not there.</summary>
    protected static InvalidDataException Missing(string name) => new($"The state lacks the inverse's '{name}'.");

    public void Dispose()
    {
        foreach (var (_, tensor) in Tensors())
            tensor.Dispose();
    }
}
