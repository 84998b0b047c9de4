using Amari.Native;

namespace Amari.Verification;

/// <summary>A likelihood at a model's own outputs: everything it says is held against its own loss, and its three ways to the output Fisher
/// against each other and against draws.</summary>
internal static class LikelihoodChecks
{
    private const string Subject = "output";
    private const long Numbers = 1 << 20,
        FewestDraws = 64,
        MostDraws = 4096; // draws of every term, so that the outputs are not too many numbers
    private const double Smallest = 1e-6; // of a product with a vector of norm 1, or of a slope: below, rounding is seen
    private const double StandardErrors = 5; // one false alarm in a million

    public static IEnumerable<Check> Run(Problem problem)
    {
        var (likelihood, y, options) = (problem.Likelihood, problem.Targets, problem.Options);
        var f = problem.Output;
        var directions = Enumerable.Range(0, options.Directions + 1).Select(_ => problem.Unit(f.shape)).ToList();
        double unit = Math.Sqrt(f.numel()); // a step of 1 in every output

        yield return Worst(
            "likelihood score",
            "finite differences of the loss",
            directions.Select(u =>
            {
                var slope = new FiniteDifference(t => likelihood.SumNegativeLogLikelihood(f + u * t, y).detach(), unit);
                return slope.Hold(
                    (likelihood.Score(f, y) * u).sum(),
                    d => d,
                    Math.Max(Smallest, Problem.Floor(likelihood.Score(f, y))),
                    options.DifferenceTolerance
                );
            }),
            "Score is not the derivative of SumNegativeLogLikelihood"
        );

        yield return Worst(
            "likelihood hessian",
            "finite differences of the loss's gradient",
            directions.Select(u =>
            {
                var slope = new FiniteDifference(t => LossGradient(likelihood, f + u * t, y), unit);
                return slope.Hold(likelihood.HessianProduct(f, y, u), d => d, Smallest, options.DifferenceTolerance);
            }),
            "HessianProduct is not the second derivative of SumNegativeLogLikelihood"
        );

        yield return Worst(
            "output fisher",
            "the Hessian of the KL divergence",
            directions.Select(u => Relative(likelihood.FisherProduct(f, u), KlHessian(likelihood, f, u), options)),
            "FisherProduct is not the Hessian of KlDivergence at equal outputs"
        );

        yield return Worst(
            "output fisher root",
            "the output Fisher",
            directions.Select(u => Relative(Root(likelihood, f, u), likelihood.FisherProduct(f, u), options)),
            "FisherRootProduct squared is not FisherProduct"
        );

        yield return Samples(problem, f, directions);
    }

    private static Tensor LossGradient(Likelihood likelihood, Tensor f, Tensor y)
    {
        using var on = enable_grad();
        f.requires_grad_();
        return Problem.Derivative(likelihood.SumNegativeLogLikelihood(f, y), null, [f], false)[0];
    }

    /// <summary>∂²/∂d² KL(f, f + d) u at d = 0, by double backward.</summary>
    private static Tensor KlHessian(Likelihood likelihood, Tensor f, Tensor u)
    {
        using var on = enable_grad();
        var moved = f.clone().requires_grad_();
        var slope = ReverseMode.Derivative([likelihood.KlDivergence(f, moved).sum()], [moved], createGraph: true)[0];
        return slope is { requires_grad: true } ? Problem.Derivative(slope, u, [moved], false)[0] : zeros_like(u);
    }

    private static Tensor Root(Likelihood likelihood, Tensor f, Tensor u)
    {
        long terms = likelihood.Terms(f);
        var sum = zeros_like(f).view(terms, -1);
        for (long c = 0; c < likelihood.Outputs(f); c++)
        {
            using var scope = NewDisposeScope();
            var s = likelihood.FisherRootColumn(f, c).view(terms, -1);
            sum.add_(s * (s * u.view(terms, -1)).sum(1, keepdim: true));
        }
        return sum.view(f.shape);
    }

    /// <summary>E ⟨s, u⟩ = 0 and E ⟨s, u⟩² = ⟨u, Λ u⟩ over draws, within their standard errors. Outputs are scaled to a root mean square of
    /// 1, where every outcome is drawn.</summary>
    private static Check Samples(Problem problem, Tensor f, IEnumerable<Tensor> directions)
    {
        const string name = "likelihood samples",
            oracle = "the output Fisher";
        var likelihood = problem.Likelihood;
        double size = f.square().mean().sqrt().ToDouble();
        if (size > 0)
            f = f / size;
        long count = Math.Clamp(Numbers / f.numel(), FewestDraws, MostDraws);
        Tensor Repeat(Tensor t) => t.repeat([count, .. t.shape.Skip(1).Select(_ => 1L)]);
        var many = Repeat(f);
        using var generator = new Generator((ulong)problem.Options.Seed, f.device);
        var draw = likelihood.Sample(many, generator);
        if (!draw.shape.Skip(1).SequenceEqual(problem.Targets.shape.Skip(1)) || draw.shape[0] != many.shape[0])
            return new(
                name,
                Subject,
                double.NaN,
                CheckOutcome.Failed,
                oracle,
                $"Sample gives the shape [{string.Join(", ", draw.shape)}] where targets are [{many.shape[0]}, "
                    + $"{string.Join(", ", problem.Targets.shape.Skip(1))}]"
            );
        var scores = likelihood.Score(many, draw);
        double mean = 0,
            square = 0,
            error = 0;
        foreach (var u in directions)
        {
            using var scope = NewDisposeScope();
            var projected = (scores * Repeat(u)).view(likelihood.Terms(many), -1).sum(1);
            double expected = (u * likelihood.FisherProduct(f, u)).sum().ToDouble() / likelihood.Terms(f);
            mean = Math.Max(mean, Off(projected, 0));
            square = Math.Max(square, Off(projected.square(), expected));
            error = Math.Max(error, Math.Abs(projected.square().mean().ToDouble() / expected - 1));
        }
        bool passed = mean <= StandardErrors && square <= StandardErrors;
        return new(
            name,
            Subject,
            error,
            passed ? CheckOutcome.Passed : CheckOutcome.Failed,
            oracle,
            FormattableString.Invariant(
                $"the scores of {likelihood.Terms(many)} draws have mean 0 and variance Λ to {mean:F1} and {square:F1} standard errors"
            ) + (passed ? "" : $"; at most {StandardErrors} is chance: Sample, Score and FisherProduct do not belong together")
        );

        static double Off(Tensor draws, double expected) =>
            Math.Abs(draws.mean().ToDouble() - expected) / Math.Max(draws.std().ToDouble() / Math.Sqrt(draws.numel()), 1e-300);
    }

    private static (double, CheckOutcome) Relative(Tensor value, Tensor expected, VerificationOptions options)
    {
        double error = RelativeError(value, expected, Smallest);
        return (error, error <= options.Tolerance ? CheckOutcome.Passed : CheckOutcome.Failed);
    }

    /// <summary>|value - expected| / max(|expected|, floor); 0 where both are 0.</summary>
    public static double RelativeError(Tensor value, Tensor expected, double floor)
    {
        double difference = (value - expected).norm().ToDouble();
        return difference == 0 ? 0 : difference / Math.Max(expected.norm().ToDouble(), floor);
    }

    private static Check Worst(string name, string oracle, IEnumerable<(double Error, CheckOutcome Outcome)> results, string fault)
    {
        var (error, outcome) = results.MaxBy(r => (Rank(r.Outcome), r.Error));
        return new(name, Subject, error, outcome, oracle, outcome == CheckOutcome.Failed ? fault : "");
    }

    /// <summary>The graver outcome is the larger.</summary>
    public static int Rank(CheckOutcome outcome) =>
        outcome switch
        {
            CheckOutcome.Failed => 2,
            CheckOutcome.Inconclusive => 1,
            _ => 0,
        };
}
