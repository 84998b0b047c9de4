using Amari.Native;

namespace Amari.Verification;

/// <summary>Checks a likelihood at a model's outputs: its score and Hessian against its loss, and its three forms of the output Fisher
/// against each other and against draws.</summary>
internal static class LikelihoodChecks
{
    private const string Subject = "output";
    private const long Numbers = 1 << 20,
        MinDraws = 64,
        MaxDraws = 4096; // draws per term, limited by the size of the outputs
    private const double MinSize = 1e-6; // minimum size of a product with a unit vector, or of a slope: below it, rounding dominates
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
                return slope.Compare(
                    (likelihood.Score(f, y) * u).sum(),
                    d => d,
                    Math.Max(MinSize, Problem.Floor(likelihood.Score(f, y))),
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
                return slope.Compare(likelihood.HessianProduct(f, y, u), d => d, MinSize, options.DifferenceTolerance);
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

    /// <summary>Checks E ⟨s, u⟩ = 0 and E ⟨s, u⟩² = ⟨u, Λ u⟩ over draws, within their standard errors. Outputs are scaled to a root mean
    /// square of 1, so that every outcome is drawn.</summary>
    private static Check Samples(Problem problem, Tensor f, IEnumerable<Tensor> directions)
    {
        const string name = "likelihood samples",
            oracle = "the output Fisher";
        var likelihood = problem.Likelihood;
        double size = f.square().mean().sqrt().ToDouble();
        if (size > 0)
            f = f / size;
        long count = Math.Clamp(Numbers / f.numel(), MinDraws, MaxDraws);
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
                $"Sample returns the shape [{string.Join(", ", draw.shape)}]; targets have the shape [{many.shape[0]}, "
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
            ) + (passed ? "" : $"; chance explains at most {StandardErrors}: Sample, Score and FisherProduct are inconsistent")
        );

        static double Off(Tensor draws, double expected) =>
            Math.Abs(draws.mean().ToDouble() - expected) / Math.Max(draws.std().ToDouble() / Math.Sqrt(draws.numel()), 1e-300);
    }

    private static (double, CheckOutcome) Relative(Tensor value, Tensor expected, VerificationOptions options)
    {
        double error = RelativeError(value, expected, MinSize);
        return (error, error <= options.Tolerance ? CheckOutcome.Passed : CheckOutcome.Failed);
    }

    /// <summary>|value - expected| / max(|expected|, floor); 0 if both are 0.</summary>
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

    /// <summary>Orders outcomes by severity.</summary>
    public static int Rank(CheckOutcome outcome) =>
        outcome switch
        {
            CheckOutcome.Failed => 2,
            CheckOutcome.Inconclusive => 1,
            _ => 0,
        };
}
