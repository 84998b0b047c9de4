using Amari.Curvature;
using Amari.Native;

namespace Amari.Verification;

/// <summary>Holds the derivatives and the curvature of a user's own model against dense oracles and finite differences in float64, on a
/// tiny batch, parameter by parameter.</summary>
/// <remarks>Checked are: the likelihood (score, Hessian, output Fisher, draws, KL divergence), the gradient, products with the Hessian, the
/// Gauss-Newton matrix and the exact, empirical and Monte-Carlo Fisher, and K-FAC's factors, damped inverse and step. The model runs in
/// evaluation mode; a model of millions of parameters takes seconds to a minute. What cannot be computed for the model, as where an
/// operation has no second derivative or a custom backward throws, is reported with the reason, and the other checks are made. Nothing can
/// be checked of a model that does not run in float64, as one with a constant of another type: the report then says why.</remarks>
public static class Verifier
{
    /// <summary>Verifies a model with a likelihood on the first examples of a batch.</summary>
    /// <param name="model">Any dtype; it computes in float64 meanwhile, and is then as it was, bit by bit. Not to be used by another thread
    /// meanwhile.</param>
    /// <param name="likelihood">p(y | f) of the model's output.</param>
    /// <param name="inputs">[n, ...]; not changed. Floating-point ones are taken in float64.</param>
    /// <param name="targets">[n, ...], as the likelihood wants them; not changed.</param>
    /// <param name="options">Defaults if null.</param>
    /// <exception cref="ArgumentException">There is no example, or no trainable parameter.</exception>
    /// <exception cref="InvalidOperationException">The loss of the examples is not finite.</exception>
    public static VerificationReport Verify(
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        Tensor inputs,
        Tensor targets,
        VerificationOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        Require.Parameters(model, "verify");
        options ??= new();
        long n = Math.Min(options.Examples, inputs.shape[0]);
        if (n == 0 || targets.shape[0] < n)
            throw new ArgumentException(
                $"There are {inputs.shape[0]} inputs and {targets.shape[0]} targets; there must be a target for each, and one at least.",
                nameof(inputs)
            );

        using var on = enable_grad();
        using var scope = NewDisposeScope();
        using var unseen = TrainingPasses.Suspend();
        using var precise = new Float64Model(model);
        using var generator = new Generator((ulong)options.Seed, CPU);
        using var problem = new Problem(model, likelihood, Batch(inputs, n), Batch(targets, n), options, generator);
        if (Unavailable(problem, out double loss) is { } reason)
            return Report([new("forward pass", Check.All, double.NaN, CheckOutcome.Unavailable, "", reason)], [], new([]), 0);
        if (!double.IsFinite(loss))
            throw new InvalidOperationException($"The loss of the examples is {loss} in float64; there is nothing to verify.");

        var checks = new List<Check>();
        var (approximations, coverage) = ((IReadOnlyList<Approximation>)[], new Coverage([]));
        Try("likelihood", () => LikelihoodChecks.Run(problem));
        Try("gradient", () => DerivativeChecks.Gradient(problem));
        Try("hessian product", () => DerivativeChecks.Hessian(problem));
        foreach (var (name, products) in ProductChecks.Of(problem))
            Try(name, products);
        Try(
            "k-fac",
            () =>
            {
                (var kfac, approximations, coverage) = KfacChecks.Run(problem);
                return kfac;
            }
        );
        return Report(checks, approximations, coverage, problem.Outputs);

        VerificationReport Report(
            IReadOnlyList<Check> checks,
            IReadOnlyList<Approximation> approximations,
            Coverage coverage,
            long outputs
        ) =>
            new(checks, approximations, coverage)
            {
                Likelihood = likelihood.GetType().Name,
                Examples = n,
                Outputs = outputs,
                Loss = loss,
                Parameters = [.. problem.Layout.Parameters.Select((p, i) => (p.Name, (IReadOnlyList<long>)problem.Layout.Shapes[i]))],
            };

        // What cannot be computed is a finding, and keeps nothing else from being checked.
        void Try(string name, Func<IEnumerable<Check>> group)
        {
            using var inner = NewDisposeScope();
            try
            {
                checks.AddRange(group());
            }
            catch (Exception e)
            {
                checks.Add(new(name, Check.All, double.NaN, CheckOutcome.Unavailable, "", e.Message.Split('\n')[0].Trim().TrimEnd('.')));
            }
        }
    }

    private static Tensor Batch(Tensor t, long n)
    {
        var part = t.detach().narrow(0, 0, n);
        return part.is_floating_point() ? part.to_type(ScalarType.Float64, copy: true) : part.clone();
    }

    /// <summary>Why there is no loss in float64; null where there is.</summary>
    private static string? Unavailable(Problem problem, out double loss)
    {
        try
        {
            loss = problem.Loss.ToDouble();
            return null;
        }
        catch (Exception e) when (e is System.Runtime.InteropServices.ExternalException or ArgumentException)
        {
            loss = double.NaN;
            return "the model does not run in float64 (a tensor that is no parameter and no buffer keeps its own type): "
                + e.Message.Split('\n')[0].Trim().TrimEnd('.');
        }
    }
}
