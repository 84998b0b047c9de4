using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>C⁻¹ by conjugate gradient, run for each product.</summary>
/// <param name="c">C, positive definite: a damped curvature. Not owned.</param>
/// <param name="options">When to stop; defaults if null.</param>
/// <param name="preconditioner">v → M⁻¹ v, positive definite, such as K-FAC's damped inverse; none if null. Not owned.</param>
public sealed class CgInverse(LinearOperator c, CgOptions? options = null, LinearOperator? preconditioner = null) : InverseOperator(c)
{
    private protected override (Tensor X, InverseReport Report) Solve(Tensor b)
    {
        var result = ConjugateGradient.Solve(Inverted, b, options, preconditioner);
        return (
            result.Solution,
            new(
                result.Status switch
                {
                    CgStatus.Converged => InverseStatus.Solved,
                    CgStatus.Stalled => InverseStatus.Stalled,
                    CgStatus.IterationLimit => InverseStatus.IterationLimit,
                    CgStatus.NegativeCurvature => InverseStatus.NegativeCurvature,
                    _ => InverseStatus.NotFinite,
                },
                result.Iterations,
                result.RelativeResidual
            )
        );
    }
}
