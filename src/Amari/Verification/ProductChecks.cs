using Amari.Curvature;

namespace Amari.Verification;

/// <summary>Checks products with the Gauss-Newton matrix and the Fishers, J' B J v, parameter by parameter. J is the dense Jacobian, with
/// one backward pass for each output of each term. For a large model, J v comes from finite differences of the outputs and J's from one
/// backward pass.</summary>
internal static class ProductChecks
{
    private const string MonteCarloProduct = "fisher product (monte-carlo)";
    private const int Repeats = 24; // Monte Carlo operators with different seeds
    private const double StandardErrors = 5; // of 24 operators: one false alarm in 40,000
    private const int Draws = 64; // per term and operator: cheap compared with the passes through the model

    /// <summary>The kinds of products and their checks.</summary>
    public static IEnumerable<(string Name, Func<IEnumerable<Check>> Checks)> Of(Problem problem)
    {
        var (likelihood, y) = (problem.Likelihood, problem.Targets);
        yield return Product(
            "gauss-newton product",
            () => new GaussNewton(problem.Objective),
            (f, t) => likelihood.HessianProduct(f, y, t)
        );
        yield return Product(
            "fisher product (exact)",
            () => new Fisher(problem.Objective),
            (f, t) => problem.OfCounted(f, likelihood.FisherProduct(f, t))
        );
        yield return Product(
            "fisher product (empirical)",
            () => new Fisher(problem.Objective, FisherKind.Empirical),
            (f, t) =>
            {
                var s = likelihood.Score(f, y).reshape(problem.Positions, -1);
                return (s * (s * t.reshape(s.shape)).sum(1, keepdim: true)).view(f.shape);
            }
        );
        yield return (MonteCarloProduct, () => MonteCarlo(problem));

        (string, Func<IEnumerable<Check>>) Product(string name, Func<GaussNewton> op, Func<Tensor, Tensor, Tensor> metric) =>
            (name, () => DerivativeChecks.AtSmoothPoint(problem, () => ProductHere(problem, name, op(), metric)));
    }

    private static IEnumerable<Check> ProductHere(Problem problem, string name, GaussNewton op, Func<Tensor, Tensor, Tensor> metric)
    {
        using var outer = NewDisposeScope();
        var layout = problem.Layout;
        var worst = new (double Error, CheckOutcome Outcome)[layout.Parameters.Count];
        bool dense = problem.Jacobian is not null;
        for (int k = 0; k < problem.Options.Directions; k++)
        {
            using var scope = NewDisposeScope();
            var v = problem.Direction();
            var product = op.Apply(v);
            var f = problem.Output;
            Func<int, (double, CheckOutcome)> hold;
            if (problem.Jacobian is { } j)
            {
                var expected = j.T.mv(metric(f, j.mv(v).view(f.shape)).reshape(-1)) / problem.Terms;
                double floor = Problem.Floor(expected);
                hold = i =>
                {
                    double error = LikelihoodChecks.RelativeError(problem.Part(product, i), problem.Part(expected, i), floor);
                    return (error, error <= problem.Options.Tolerance ? CheckOutcome.Passed : CheckOutcome.Failed);
                };
            }
            else
            {
                var estimates = Moved(problem, v).Map(t => problem.TransposedProduct(metric(f, t)) / problem.Terms);
                double floor = Problem.Floor(product);
                hold = i =>
                    estimates.Compare(problem.Part(product, i), d => problem.Part(d, i), floor, problem.Options.DifferenceTolerance);
            }
            for (int i = 0; i < worst.Length; i++)
                if (
                    hold(i) is var (error, outcome)
                    && (LikelihoodChecks.Rank(outcome), error).CompareTo((LikelihoodChecks.Rank(worst[i].Outcome), worst[i].Error)) > 0
                )
                    worst[i] = (error, outcome);
        }
        for (int i = 0; i < worst.Length; i++)
            yield return new(
                name,
                layout.Parameters[i].Name,
                worst[i].Error,
                worst[i].Outcome,
                dense ? "the dense Jacobian" : "finite differences of the outputs",
                worst[i].Outcome switch
                {
                    CheckOutcome.Failed =>
                        "it differs from J' B J of the model's own backward passes: a backward pass is wrong, not linear, or has no graph "
                            + "of its own",
                    _ => "",
                }
            );
    }

    /// <summary>J v by finite differences of the outputs.</summary>
    private static FiniteDifference Moved(Problem problem, Tensor v)
    {
        var w = problem.Layout.Read();
        try
        {
            return new(t =>
            {
                using var scope = NewDisposeScope();
                problem.Layout.Write(w + v * t);
                return problem.Output.MoveToOuterDisposeScope();
            });
        }
        finally
        {
            problem.Layout.Write(w);
        }
    }

    /// <summary>⟨v, F v⟩ of each parameter: the mean over operators with different seeds against the exact Fisher.</summary>
    private static IEnumerable<Check> MonteCarlo(Problem problem)
    {
        using var outer = NewDisposeScope();
        var layout = problem.Layout;
        var v = problem.Direction();
        double[] expected = Shares(new Fisher(problem.Objective));
        var seen = Enumerable
            .Range(0, Repeats)
            .Select(r => Shares(new Fisher(problem.Objective, FisherKind.MonteCarlo, Draws, problem.Options.Seed + 1 + r)))
            .ToList();
        for (int i = 0; i < expected.Length; i++)
            yield return MonteCarloCheck(layout.Parameters[i].Name, expected[i], [.. seen.Select(s => s[i])]);

        double[] Shares(Fisher fisher)
        {
            using var scope = NewDisposeScope();
            var product = fisher.Apply(v) * v;
            return [.. Enumerable.Range(0, layout.Parameters.Count).Select(i => problem.Part(product, i).sum().ToDouble())];
        }
    }

    private static Check MonteCarloCheck(string parameter, double expected, double[] seen)
    {
        double mean = seen.Average(),
            error = Math.Abs(mean - expected);
        double standard = Math.Sqrt(seen.Sum(s => (s - mean) * (s - mean)) / (seen.Length - 1) / seen.Length);
        double relative = error == 0 ? 0 : error / Math.Max(Math.Abs(expected), seen.Average(Math.Abs));
        bool passed = error <= StandardErrors * standard || relative <= 1e-12;
        bool blind = standard <= 1e-9 * Math.Abs(mean);
        return new(
            MonteCarloProduct,
            parameter,
            relative,
            passed ? CheckOutcome.Passed
                : blind ? CheckOutcome.Inconclusive
                : CheckOutcome.Failed,
            "the exact Fisher",
            passed ? FormattableString.Invariant($"within {(standard > 0 ? error / standard : 0):F1} standard errors")
                : blind ? "the model is so confident at these examples that all draws are equal"
                : FormattableString.Invariant($"{error / standard:F1} standard errors off; chance explains at most {StandardErrors}")
        );
    }
}
