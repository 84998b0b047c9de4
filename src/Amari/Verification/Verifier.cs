using Amari.Curvature;
using Amari.Native;

namespace Amari.Verification;

/// <summary>Checks the derivatives and the curvature of a user's model against dense oracles and finite differences in float64, on a small
/// batch, parameter by parameter.</summary>
/// <remarks>The checks cover the likelihood (score, Hessian, output Fisher, draws, KL divergence), the gradient, products with the Hessian,
/// the Gauss-Newton matrix and the exact, empirical and Monte Carlo Fisher, and K-FAC's factors, damped inverse and step. The model runs in
/// evaluation mode. A model of millions of parameters takes seconds to a minute. If a quantity cannot be computed, for example because an
/// operation has no second derivative, the reason is reported and the other checks continue. TorchSharp cannot pass an exception through
/// autograd: a custom backward that throws ends the process.</remarks>
public static class Verifier
{
    /// <summary>Verifies a model with a likelihood on the first examples of a batch.</summary>
    /// <param name="model">Any dtype. It computes in float64 during the call and is restored bit by bit. Other threads must not use it
    /// during the call.</param>
    /// <param name="likelihood">p(y | f) of the model's output.</param>
    /// <param name="inputs">[n, ...]; not changed. Floating-point inputs are converted to float64.</param>
    /// <param name="targets">[n, ...], in the form that the likelihood requires; not changed.</param>
    /// <param name="options">Defaults if null.</param>
    /// <exception cref="ArgumentException">There is no example, or no trainable parameter.</exception>
    /// <exception cref="InvalidOperationException">The model does not run in float64, or its loss is not finite. The message gives the
    /// reason.</exception>
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
        long n = CountOf(inputs, targets, options);

        using var on = enable_grad();
        using var scope = NewDisposeScope();
        using var unseen = TrainingPasses.Suspend();
        using var precise = new Float64Model(model);
        using var generator = new Generator((ulong)options.Seed, CPU);
        using var problem = new Problem(model, likelihood, Batch(inputs, n), Batch(targets, n), options, generator);
        double loss = LossOf(problem);
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
        return new(checks, approximations, coverage)
        {
            Likelihood = likelihood.GetType().Name,
            Examples = n,
            Outputs = problem.Outputs,
            Loss = loss,
            Parameters = [.. problem.Layout.Parameters.Select((p, i) => (p.Name, (IReadOnlyList<long>)problem.Layout.Shapes[i]))],
        };

        void Try(string name, Func<IEnumerable<Check>> group) => checks.AddRange(Attempt(name, group));
    }

    /// <summary>The checks of a group. A quantity that cannot be computed is a finding, and does not stop the other checks.</summary>
    private static List<Check> Attempt(string name, Func<IEnumerable<Check>> group)
    {
        using var scope = NewDisposeScope();
        try
        {
            return [.. group()];
        }
        catch (Exception e)
        {
            return [new(name, Check.All, double.NaN, CheckOutcome.Unavailable, "", e.Message.Split('\n')[0].Trim().TrimEnd('.'))];
        }
    }

    private static long CountOf(Tensor inputs, Tensor targets, VerificationOptions options)
    {
        long n = Math.Min(options.Examples, inputs.shape[0]);
        return n > 0 && targets.shape[0] >= n
            ? n
            : throw new ArgumentException(
                $"There are {inputs.shape[0]} inputs and {targets.shape[0]} targets; there must be at least one input, and a target "
                    + "for each.",
                nameof(inputs)
            );
    }

    private static Tensor Batch(Tensor t, long n)
    {
        var part = t.detach().narrow(0, 0, n);
        return part.is_floating_point() ? part.to_type(ScalarType.Float64, copy: true) : part.clone();
    }

    private static double LossOf(Problem problem)
    {
        try
        {
            return problem.Loss.ToDouble();
        }
        catch (Exception e) when (e is System.Runtime.InteropServices.ExternalException or ArgumentException)
        {
            throw new InvalidOperationException(
                "The model does not run in float64 (a tensor that is neither a parameter nor a buffer keeps its dtype): "
                    + $"{e.Message.Split('\n')[0].Trim()}",
                e
            );
        }
    }
}
