using Amari.Curvature;

namespace Amari.Verification;

/// <summary>The gradient against finite differences of the loss, and Hessian-vector products against finite differences of the gradient,
/// parameter by parameter.</summary>
/// <remarks>If they are inconclusive, as when many units of a ReLU network are at their kinks, the check is repeated at slightly perturbed
/// weights.</remarks>
internal static class DerivativeChecks
{
    private const int FewNumbers = 16; // up to this size a parameter is checked in every coordinate
    private const double Perturbation = 1e-2,
        MinScale = 0.1; // the perturbation is relative to a parameter's root mean square, taken as at least MinScale
    private const string NotDifferentiable = "the loss is not differentiable at the given weights; checked at perturbed weights instead";
    private const string NotConverged = "finite differences do not converge: the loss has too many kinks here";

    public static IEnumerable<Check> Gradient(Problem problem) => AtSmoothPoint(problem, () => GradientHere(problem));

    public static IEnumerable<Check> Hessian(Problem problem) => AtSmoothPoint(problem, () => HessianHere(problem));

    /// <summary>Checks at the given weights, and inconclusive checks again at perturbed weights.</summary>
    public static List<Check> AtSmoothPoint(Problem problem, Func<IEnumerable<Check>> checks)
    {
        var here = checks().ToList();
        if (here.TrueForAll(c => c.Outcome != CheckOutcome.Inconclusive))
            return here;
        using var scope = NewDisposeScope();
        var w = problem.Layout.Read();
        try
        {
            foreach (var (_, p) in problem.Layout.Parameters)
            {
                using var off = no_grad();
                p.add_(
                    randn(p.shape, dtype: p.dtype, generator: problem.Generator).to(p.device),
                    alpha: Perturbation * Math.Max(p.square().mean().sqrt().ToDouble(), MinScale)
                );
            }
            return
            [
                .. here.Zip(
                    checks(),
                    (first, second) =>
                        first.Outcome != CheckOutcome.Inconclusive
                            ? first
                            : second with
                            {
                                Note = second.Outcome == CheckOutcome.Inconclusive ? NotConverged : Join(second.Note, NotDifferentiable),
                            }
                ),
            ];
        }
        finally
        {
            problem.Layout.Write(w);
        }

        static string Join(string a, string b) => a.Length == 0 ? b : $"{a}; {b}";
    }

    private static IEnumerable<Check> GradientHere(Problem problem)
    {
        using var outer = NewDisposeScope();
        var gradient = problem.Objective.Gradient().Gradient;
        double unit = Problem.Floor(gradient);
        for (int i = 0; i < problem.Layout.Parameters.Count; i++)
        {
            using var scope = NewDisposeScope();
            var (name, w) = problem.Layout.Parameters[i];
            var g = problem.Part(gradient, i).view(w.shape);
            var original = w.detach().clone();
            var directions = Directions(problem, w);
            var claims = directions.ConvertAll(u => (g * u).sum());
            double floor = Math.Max(unit, stack(claims).norm().ToDouble() / Math.Sqrt(claims.Count));
            double error = 0;
            var outcome = CheckOutcome.Passed;
            try
            {
                foreach (var (u, claim) in directions.Zip(claims))
                {
                    using var inner = NewDisposeScope();
                    var slope = new FiniteDifference(
                        t =>
                        {
                            using var off = no_grad();
                            w.copy_(original).add_(u, alpha: t);
                            return problem.Loss;
                        },
                        Math.Max(1, original.norm().ToDouble())
                    );
                    var (e, o) = slope.Compare(claim, d => d, floor, problem.Options.DifferenceTolerance);
                    error = Math.Max(error, e);
                    if (LikelihoodChecks.Rank(o) > LikelihoodChecks.Rank(outcome))
                        outcome = o;
                }
            }
            finally
            {
                using var off = no_grad();
                w.copy_(original);
            }
            yield return new(
                "gradient",
                name,
                error,
                outcome,
                "finite differences of the loss",
                outcome == CheckOutcome.Failed ? "the backward pass does not differentiate the forward pass" : ""
            );
        }
    }

    private static List<Tensor> Directions(Problem problem, Parameter w)
    {
        long count = w.numel();
        bool all = count <= FewNumbers;
        var coordinates = all
            ? Enumerable.Range(0, (int)count).Select(i => (long)i)
            : Enumerable
                .Range(0, problem.Options.Coordinates)
                .Select(_ => randint(0, count, [1], dtype: ScalarType.Int64, generator: problem.Generator).item<long>());
        return [.. coordinates.Select(At), .. Enumerable.Range(0, all ? 0 : problem.Options.Directions).Select(_ => problem.Unit(w.shape))];

        Tensor At(long i)
        {
            var e = zeros(count, dtype: w.dtype, device: w.device);
            e[i] = 1;
            return e.view(w.shape);
        }
    }

    private static IEnumerable<Check> HessianHere(Problem problem)
    {
        using var outer = NewDisposeScope();
        var layout = problem.Layout;
        var worst = new (double Error, CheckOutcome Outcome)[layout.Parameters.Count];
        var hessian = new Hessian(problem.Objective);
        for (int k = 0; k < problem.Options.Directions; k++)
        {
            using var scope = NewDisposeScope();
            var u = problem.Direction();
            var product = hessian.Apply(u);
            var w = layout.Read();
            FiniteDifference slope;
            try
            {
                slope = new(t =>
                {
                    using var inner = NewDisposeScope();
                    layout.Write(w + u * t);
                    return problem.Gradient.MoveToOuterDisposeScope();
                });
            }
            finally
            {
                layout.Write(w);
            }
            for (int i = 0; i < worst.Length; i++)
            {
                int at = i;
                double floor = Problem.Floor(product) * Math.Sqrt(layout.Offset(i + 1) - layout.Offset(i));
                var result = slope.Compare(problem.Part(product, i), d => problem.Part(d, at), floor, problem.Options.DifferenceTolerance);
                if (
                    (LikelihoodChecks.Rank(result.Outcome), result.Error).CompareTo(
                        (LikelihoodChecks.Rank(worst[i].Outcome), worst[i].Error)
                    ) > 0
                )
                    worst[i] = result;
            }
        }
        for (int i = 0; i < worst.Length; i++)
            yield return new(
                "hessian product",
                layout.Parameters[i].Name,
                worst[i].Error,
                worst[i].Outcome,
                "finite differences of the gradient",
                worst[i].Outcome == CheckOutcome.Failed
                    ? "the second backward pass does not differentiate the first: a custom backward that is wrong, or has no graph of its "
                        + "own"
                    : ""
            );
    }
}
