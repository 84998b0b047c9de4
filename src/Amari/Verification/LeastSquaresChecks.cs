using Amari.LeastSquares;

namespace Amari.Verification;

/// <summary>Checks the Jacobian of least squares by captured layers, J'J v and J J', against one backward pass per row; for
/// physics-informed models the jets and the rows against nested reverse mode.</summary>
internal static class LeastSquaresChecks
{
    private const string Nested = "nested reverse mode",
        Rows = "one backward pass per row";

    /// <summary>None if the loss is not a sum of squares.</summary>
    public static IEnumerable<Check> Run(Problem problem)
    {
        if (problem.Likelihood.Precision is not { } precision)
            yield break;
        var pde = problem.Model as PdeModel;
        if (pde is not null)
            foreach (var check in Jets(problem, pde))
                yield return check;
        if (Jacobian(problem, pde) is not { } expected)
            yield break;
        expected.mul_(Math.Sqrt(precision / problem.Terms));
        string oracle = pde is null ? Rows : Nested;
        using var linear = new ModelResiduals(problem.Model, problem.Likelihood, problem.Inputs, problem.Targets).Linearize();
        Tensor v = problem.Direction(),
            j = linear.Jacobian(),
            normal = linear.Normal.Apply(v),
            product = expected.T.mv(expected.mv(v));
        for (int i = 0; i < problem.Layout.Parameters.Count; i++)
        {
            string name = problem.Layout.Parameters[i].Name;
            yield return Compared("jacobian", name, Columns(j, i), Columns(expected, i), oracle, Problem.Floor(expected));
            yield return Compared(
                "normal product",
                name,
                problem.Part(normal, i),
                problem.Part(product, i),
                oracle,
                Problem.Floor(product)
            );
        }
        yield return Compared("gram matrix", "output", linear.Gram.ToDense(), expected.mm(expected.T), oracle);

        Tensor Columns(Tensor matrix, int i) =>
            matrix.narrow(1, problem.Layout.Offset(i), problem.Layout.Offset(i + 1) - problem.Layout.Offset(i));

        Check Compared(string name, string parameter, Tensor actual, Tensor expected, string oracle, double? floor = null) =>
            Of(problem, name, parameter, actual, expected, floor ?? Problem.Floor(expected), oracle);
    }

    /// <summary>J of the outputs, [M C, d], fresh; null if it would be too large.</summary>
    private static Tensor? Jacobian(Problem problem, PdeModel? pde)
    {
        if (pde is null || (double)problem.Positions * problem.Layout.Dimension > problem.Options.MaxJacobian)
            return pde is null ? problem.Jacobian?.clone() : null;
        var f = NestedDerivatives.Residuals(pde, problem.Inputs).reshape(-1);
        Tensor[] w = [.. problem.Layout.Parameters.Select(p => (Tensor)p.Parameter)];
        return stack([
            .. Enumerable
                .Range(0, (int)f.shape[0])
                .Select(n => cat([.. Problem.Derivative(f[n], null, w, again: true).Select(g => g.reshape(-1))])),
        ]);
    }

    private static IEnumerable<Check> Jets(Problem problem, PdeModel pde)
    {
        foreach (var (term, places) in NestedDerivatives.Terms(pde, problem.Inputs))
        {
            var points = problem.Inputs.narrow(1, 0, pde.Dimensions).index_select(0, places);
            using var jet = pde.Solution.At(points, term.Spec);
            var expected = NestedDerivatives.Components(pde.Solution, points, term.Spec).detach();
            yield return Of(problem, "jets", term.Name, jet.Stack.detach(), expected, Problem.Floor(expected), Nested);
        }
    }

    private static Check Of(Problem problem, string name, string parameter, Tensor actual, Tensor expected, double floor, string oracle)
    {
        double error = LikelihoodChecks.RelativeError(actual, expected, floor);
        bool passed = error <= problem.Options.Tolerance;
        return new(
            name,
            parameter,
            error,
            passed ? CheckOutcome.Passed : CheckOutcome.Failed,
            oracle,
            passed ? ""
                : name == "jets" ? "a module of the network pushes another derivative than its own"
                : "the rows by captured layers are not those of the model: report this as a fault of Amari"
        );
    }
}
