using Amari.Curvature;
using Amari.Native;

namespace Amari.Verification;

/// <summary>The gradient against finite differences of the loss, and Hessian-vector products against finite differences of the gradient,
/// parameter by parameter.</summary>
/// <remarks>Steps are relative to the norm of a parameter. Where that confirms nothing and the parameter has few numbers, as those of a
/// curve, they are also tried relative to each number, because numbers of one parameter may differ by orders of magnitude. If they are
/// inconclusive, as when many units of a ReLU network are at their kinks, the check is repeated at slightly perturbed weights.</remarks>
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
                    double[] sizes = [Math.Max(1, original.norm().ToDouble()), .. OwnScale(original, u)];
                    var (e, o) = FirstPassed(
                        sizes.Select(size =>
                            new FiniteDifference(Moved, size).Compare(claim, d => d, floor, problem.Options.DifferenceTolerance)
                        )
                    );

                    Tensor Moved(double t)
                    {
                        using var off = no_grad();
                        w.copy_(original).add_(u, alpha: t);
                        return problem.Loss;
                    }
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

    /// <summary>The first result that confirms the value, else the one that speaks most against it.</summary>
    private static (double Error, CheckOutcome Outcome) FirstPassed(IEnumerable<(double Error, CheckOutcome Outcome)> results)
    {
        var worst = (Error: 0.0, Outcome: CheckOutcome.Passed);
        foreach (var result in results)
        {
            if (result.Outcome == CheckOutcome.Passed)
                return result;
            worst = Worse(worst, result);
        }
        return worst;
    }

    private static (double Error, CheckOutcome Outcome) Worse(
        (double Error, CheckOutcome Outcome) a,
        (double Error, CheckOutcome Outcome) b
    ) => (LikelihoodChecks.Rank(a.Outcome), a.Error).CompareTo((LikelihoodChecks.Rank(b.Outcome), b.Error)) >= 0 ? a : b;

    /// <summary>The step along u that changes one of few numbers of w by as much as it is, and others by less; none where there are many,
    /// or all that would move are zeros.</summary>
    private static IEnumerable<double> OwnScale(Tensor w, Tensor u)
    {
        if (w.numel() > FewNumbers)
            yield break;
        double scale = (w / u).abs().nan_to_num(0, 0, 0).flatten().Elements<double>().Where(r => r > 0).DefaultIfEmpty(0).Min();
        if (scale > 0)
            yield return scale;
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
            List<FiniteDifference> slopes;
            try
            {
                slopes = [.. ((double[])[1, .. OwnScale(w, u)]).Select(size => new FiniteDifference(Moved, size))];
            }
            finally
            {
                layout.Write(w);
            }
            for (int i = 0; i < worst.Length; i++)
            {
                int at = i;
                double floor = Problem.Floor(product) * Math.Sqrt(layout.Offset(i + 1) - layout.Offset(i));
                worst[i] = Worse(
                    worst[i],
                    FirstPassed(
                        slopes.Select(slope =>
                            slope.Compare(problem.Part(product, at), d => problem.Part(d, at), floor, problem.Options.DifferenceTolerance)
                        )
                    )
                );
            }

            Tensor Moved(double t)
            {
                using var inner = NewDisposeScope();
                layout.Write(w + u * t);
                return problem.Gradient.MoveToOuterDisposeScope();
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
