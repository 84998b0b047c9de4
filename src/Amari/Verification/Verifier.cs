using System.Runtime.InteropServices;
using Amari.Curvature;
using Amari.Native;

namespace Amari.Verification;

/// <summary>Checks the derivatives and the curvature of a user's model against dense oracles and finite differences in float64, on a small
/// batch, parameter by parameter.</summary>
/// <remarks>The checks cover the likelihood (score, Hessian, output Fisher, draws, KL divergence), the gradient, products with the Hessian,
/// the Gauss-Newton matrix and the exact, empirical and Monte Carlo Fisher, and K-FAC's factors, damped inverse and step. Where the loss
/// is a sum of squares, they cover the Jacobian J, products with J'J and the Gram matrix J J'; for a
/// <see cref="LeastSquares.PdeModel"/> also the jets, against derivatives by nested reverse mode. The model runs in evaluation mode. A
/// model of millions of parameters takes seconds to a minute. If a quantity cannot be computed, for example because an operation has no
/// second derivative or a custom backward throws, the reason is reported and the other checks continue. A model that does not run in
/// float64 cannot be checked, and the report gives the reason.</remarks>
/// <example><code>
/// using Amari.Verification;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// VerificationReport report = Verifier.Verify(model, new Categorical(), x, y, new() { Examples = 4 });
/// Console.WriteLine(report);                              // agreeing digits of each quantity, parameter by parameter
/// if (!report.Passed)
///     throw new InvalidOperationException("Do not trust the curvature of this model.");
/// </code></example>
public static class Verifier
{
    /// <summary>Verifies a model with a likelihood on the first examples of a batch that have a target (the label -100 is none).</summary>
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
    ) => Verify(model, likelihood, inputs, targets, options, order: null);

    /// <summary>The same on the first examples of another order: their places in the inputs, int64.</summary>
    internal static VerificationReport Verify(
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        Tensor inputs,
        Tensor targets,
        VerificationOptions? options,
        Tensor? order
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
        order ??= arange(Math.Min(inputs.shape[0], targets.shape[0]), dtype: ScalarType.Int64, device: inputs.device);
        (Tensor X, Tensor Y) batch = (inputs, targets);
        var loss = double.NaN;
        if (InFloat64(() => batch = WithTargets(model, likelihood, inputs, targets, n, order)) is { } unable)
            return Report([Unavailable("forward pass", unable)], [], new([]), n, 0);
        using var problem = new Problem(model, likelihood, batch.X, batch.Y, options, generator);
        if (InFloat64(() => loss = problem.Loss.ToDouble()) is { } failed)
            return Report([Unavailable("forward pass", failed)], [], new([]), n, 0);
        if (!double.IsFinite(loss))
            throw new InvalidOperationException($"The loss of the examples is {loss} in float64; there is nothing to verify.");

        var checks = new List<Check>();
        var (approximations, coverage) = ((IReadOnlyList<Approximation>)[], new Coverage([]));
        Try("likelihood", () => LikelihoodChecks.Run(problem));
        Try("gradient", () => DerivativeChecks.Gradient(problem));
        Try("hessian product", () => DerivativeChecks.Hessian(problem));
        foreach (var (name, products) in ProductChecks.Of(problem))
            Try(name, products);
        Try("jacobian", () => LeastSquaresChecks.Run(problem));
        Try(
            "k-fac",
            () =>
            {
                (var kfac, approximations, coverage) = KfacChecks.Run(problem);
                return kfac;
            }
        );
        return Report(checks, approximations, coverage, batch.X.shape[0], problem.Outputs);

        VerificationReport Report(
            IReadOnlyList<Check> checks,
            IReadOnlyList<Approximation> approximations,
            Coverage coverage,
            long examples,
            long outputs
        ) =>
            new(checks, approximations, coverage)
            {
                Likelihood = likelihood.GetType().Name,
                Examples = (int)examples,
                Outputs = outputs,
                Loss = loss,
                Parameters = [.. ParameterLayout.Of(model).Parameters.Select(p => (p.Name, (IReadOnlyList<long>)p.Parameter.shape))],
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
            return [Unavailable(name, e.Message.Split('\n')[0].Trim().TrimEnd('.'))];
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

    /// <summary>The first n examples of which a term counts, in float64.</summary>
    private static (Tensor X, Tensor Y) WithTargets(
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        Tensor inputs,
        Tensor targets,
        long n,
        Tensor order
    )
    {
        using var off = no_grad();
        var rows = new List<Tensor>();
        foreach (var part in order.split(n))
        {
            if (rows.Count >= n)
                break;
            using var scope = NewDisposeScope();
            var (x, y) = (Rows(inputs, part), Rows(targets, part));
            var f = ForwardFailure.Call(model, x);
            long counted = likelihood.Terms(f, y);
            if (counted == 0)
                continue;
            bool all = counted == likelihood.Terms(f);
            for (long i = 0; i < part.shape[0] && rows.Count < n; i++)
                if (all || likelihood.Terms(f.narrow(0, i, 1), y.narrow(0, i, 1)) > 0)
                    rows.Add(part.narrow(0, i, 1).MoveToOuterDisposeScope());
        }
        if (rows.Count == 0)
            throw new ArgumentException(
                $"None of the {order.shape[0]} examples has a target: the labels leave all of them out of the loss, as -100 does.",
                nameof(targets)
            );
        var chosen = cat(rows);
        return (Rows(inputs, chosen), Rows(targets, chosen));
    }

    private static Tensor Rows(Tensor t, Tensor rows)
    {
        var part = t.detach().index_select(0, rows.to(t.device));
        return part.is_floating_point() ? part.to_type(ScalarType.Float64) : part;
    }

    private static Check Unavailable(string name, string reason) => new(name, Check.All, double.NaN, CheckOutcome.Unavailable, "", reason);

    /// <summary>Why a computation does not run in float64; null where it does.</summary>
    private static string? InFloat64(Action compute)
    {
        try
        {
            compute();
            return null;
        }
        catch (Exception e)
            when ((e as ExternalException ?? e.InnerException) is ExternalException native
                && native.Message.Contains("type", StringComparison.Ordinal)
            )
        {
            string why = e.Message.Split('\n')[0].Split(" (Parameter")[0].Trim().TrimEnd('.');
            return $"the model does not run in float64 (a tensor that is neither a parameter nor a buffer keeps its dtype): {why}";
        }
    }
}
