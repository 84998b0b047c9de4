using Amari.Curvature;
using Amari.Solvers;
using Amari.Tests.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>K-FAC's factors as an operator: against dense Kronecker products, dense Fishers where theory says they agree, and the
/// optimizer.</summary>
public sealed class KroneckerFactoredTests : IDisposable
{
    private const double Tolerance = 1e-10;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>The dense block-diagonal matrix of factors, in the layout's order; for layers without groups.</summary>
    private static Tensor DenseOf(KroneckerFactored factored, Func<Tensor, Tensor, (Tensor, Tensor)>? damp = null)
    {
        var names = factored.Parameters.Parameters.Select(p => p.Name).ToList();
        var full = zeros(factored.Dimension, factored.Dimension, dtype: ScalarType.Float64);
        foreach (var (layer, a, g) in factored.Factors)
        {
            string prefix = layer.Length == 0 ? "" : layer + ".";
            int weight = names.IndexOf(prefix + "weight"),
                bias = names.IndexOf(prefix + "bias");
            var (left, right) = damp?.Invoke(a, g) ?? (a, g);
            var block = Dense.Kronecker(left, right, bias >= 0); // weight, then bias, as they lie in the layout
            full.narrow(0, factored.Parameters.Offset(weight), block.shape[0])
                .narrow(1, factored.Parameters.Offset(weight), block.shape[0])
                .copy_(block);
        }
        return full;
    }

    /// <summary>Without the rows and columns of normalisations, which have no Kronecker factors.</summary>
    private static Tensor Factored(Tensor dense, KroneckerFactored factored)
    {
        var rows = factored
            .Parameters.Parameters.Zip(factored.Coverage.Rows)
            .SelectMany(p =>
                Enumerable.Repeat(
                    p.Second.Block.StartsWith("unit-wise", StringComparison.Ordinal) ? 0.0 : 1.0,
                    (int)p.First.Parameter.numel()
                )
            )
            .ToArray();
        var keep = tensor(rows);
        return dense * keep * keep.unsqueeze(1);
    }

    private static Tensor Block(Tensor dense, KroneckerFactored factored, string layer)
    {
        var rows = tensor(
            factored
                .Parameters.Parameters.SelectMany(
                    (p, i) =>
                        p.Name.StartsWith(layer + ".", StringComparison.Ordinal)
                            ? Enumerable.Range(0, (int)p.Parameter.numel()).Select(k => factored.Parameters.Offset(i) + k)
                            : []
                )
                .ToArray()
        );
        return dense.index_select(0, rows).index_select(1, rows);
    }

    [
        Theory,
        InlineData(FisherKind.Exact),
        InlineData(FisherKind.MonteCarlo),
        InlineData(FisherKind.CurvaturePropagation),
        InlineData(FisherKind.Empirical)
    ]
    public void Operator_is_the_Kronecker_products_of_its_factors(FisherKind kind)
    {
        foreach (
            string name in (string[])
                [
                    "mlp",
                    "mlp, sum",
                    "bernoulli",
                    "no bias",
                    "weight sharing",
                    "weight sharing, pooled",
                    "the model is a layer",
                    "norms and dropout",
                ]
        )
        {
            using var factored = new KroneckerFactored(CurvatureCases.Make(name).Objective(), kind, samples: 2);
            Assert.True(DenseCurvature.RelativeError(Factored(factored.ToDense(), factored), DenseOf(factored)) < Tolerance, name);
        }
    }

    [Fact]
    public void Deep_linear_network_with_squared_loss_has_the_blocks_of_the_Fisher()
    {
        manual_seed(2);
        var model = nn.Sequential(("a", nn.Linear(4, 3)), ("b", nn.Linear(3, 5)), ("c", nn.Linear(5, 2))).to(ScalarType.Float64);
        (Tensor, Tensor)[] batches =
        [
            .. new long[] { 3, 5 }.Select(n => (randn(n, 4, dtype: ScalarType.Float64), randn(n, 2, dtype: ScalarType.Float64))),
        ];
        foreach (var reduction in Enum.GetValues<LossReduction>())
        {
            var objective = new Objective(model, new Gaussian(0.3), batches, reduction: reduction);
            using var factored = new KroneckerFactored(objective);
            Assert.True(DenseCurvature.RelativeError(factored.ToDense(), new BlockDiagonal(new Fisher(objective)).ToDense()) < Tolerance);
        }
    }

    [Fact]
    public void One_term_makes_grouped_convolution_blocks_exact()
    {
        // one position at the output of each convolution: one row
        manual_seed(3);
        var model = nn.Sequential(("c", nn.Conv2d(4, 4, 3, groups: 2)), ("t", nn.Tanh()), ("f", nn.Flatten()), ("l", nn.Linear(4, 3)))
            .to(ScalarType.Float64);
        var objective = new Objective(model, new Categorical(), [(randn(1, 4, 3, 3, dtype: ScalarType.Float64), tensor(new long[] { 1 }))]);
        foreach (var kind in (FisherKind[])[FisherKind.Exact, FisherKind.Empirical])
        {
            using var factored = new KroneckerFactored(objective, kind);
            var fisher = new BlockDiagonal(new Fisher(objective, kind)).ToDense();
            Assert.True(DenseCurvature.RelativeError(Block(factored.ToDense(), factored, "l"), Block(fisher, factored, "l")) < Tolerance);
            // between groups K-FAC has zeros
            var mine = Block(factored.ToDense(), factored, "c");
            var theirs = Block(fisher, factored, "c");
            Assert.True(DenseCurvature.RelativeError(mine, where(mine == 0, zeros_like(theirs), theirs)) < Tolerance);
            Assert.Equal(2 * (2 * 19 * 2 * 19), (mine != 0).sum().ToInt64());
        }
    }

    [Fact]
    public void Monte_Carlo_factor_comes_near_the_exact_with_more_draws()
    {
        var objective = CurvatureCases.Make("mlp").Objective();
        using var exact = new KroneckerFactored(objective);
        double Error(int samples)
        {
            using var drawn = new KroneckerFactored(objective, FisherKind.MonteCarlo, samples, seed: 7);
            return DenseCurvature.RelativeError(drawn.ToDense(), exact.ToDense());
        }
        Assert.InRange(Error(2000), 0, 0.05);
        Assert.InRange(Error(5), 0.05, 3);
    }

    [Fact]
    public void Parameters_without_a_block_have_zero_rows_and_are_listed()
    {
        foreach (
            var (name, left, reason) in new[]
            {
                ("tied weights", "first.bias", "share a weight"),
                ("unused parameters", "never.weight", "not seen"),
                ("unused parameters", "scale", "Unused"),
                ("frozen weight", "a.bias", "frozen"),
            }
        )
        {
            using var factored = new KroneckerFactored(CurvatureCases.Make(name).Objective());
            var row = factored.Coverage.Rows.Single(r => r.Parameter == left);
            Assert.Equal("none", row.Block);
            Assert.Contains(reason, row.Reason, StringComparison.Ordinal);
            int i = factored.Parameters.Parameters.ToList().FindIndex(p => p.Name == left);
            Assert.Equal(
                0,
                factored
                    .ToDense()
                    .narrow(0, factored.Parameters.Offset(i), factored.Parameters.Parameters[i].Parameter.numel())
                    .abs()
                    .sum()
                    .ToDouble()
            );
            Assert.Equal(factored.Parameters.Parameters.Select(p => p.Name), factored.Coverage.Rows.Select(r => r.Parameter));
        }
    }

    [Fact]
    public void Chosen_parameters_give_the_principal_submatrix()
    {
        var c = CurvatureCases.Make("mlp");
        using var all = new KroneckerFactored(c.Objective());
        using var weights = new KroneckerFactored(c.Objective(n => n.EndsWith("weight", StringComparison.Ordinal)));
        var rows = cat([arange(0, 20), arange(25, 40)]);
        Assert.True(DenseCurvature.RelativeError(weights.ToDense(), all.ToDense().index_select(0, rows).index_select(1, rows)) < Tolerance);
        using var bias = new KroneckerFactored(c.Objective(n => n == "a.bias"));
        Assert.Contains("left out", Assert.Single(bias.Coverage.Rows).Reason, StringComparison.Ordinal);
        using var last = new KroneckerFactored(c.Objective(n => n.StartsWith('b')));
        Assert.True(DenseCurvature.RelativeError(last.ToDense(), all.ToDense().narrow(0, 25, 18).narrow(1, 25, 18)) < Tolerance);
    }

    [Fact]
    public void Not_finite_factors_are_left_out_and_reported()
    {
        var c = CurvatureCases.Make("mlp");
        var x = c.Batches[0].X.clone();
        x[0, 0] = double.NaN;
        using var factored = new KroneckerFactored(new Objective(c.Model, c.Likelihood, [(x, c.Batches[0].Y)]));
        Assert.All(factored.Coverage.Rows, r => Assert.Contains("not finite", r.Reason, StringComparison.Ordinal));
        Assert.Empty(factored.Factors);
    }

    [Theory, InlineData(FisherKind.Exact), InlineData(FisherKind.Empirical)]
    public void Running_factors_are_the_batch_factors_after_one_step(FisherKind kind)
    {
        var c = CurvatureCases.Make("norms and dropout");
        c.Model.eval();
        using var kfac = new Kfac(
            c.Model,
            new()
            {
                LearningRate = 0,
                Fallback = new() { LearningRate = 0 },
                Curvature = new() { Fisher = FisherOptions.Of(kind) },
            },
            c.Likelihood
        );
        using (var early = KroneckerFactored.Of(kfac.Estimate))
            Assert.All(
                early.Coverage.Rows.Where(r => r.Parameter.StartsWith("a.", StringComparison.Ordinal)),
                r => Assert.Contains("not yet", r.Reason, StringComparison.Ordinal)
            );
        c.Likelihood.Loss(c.Model.call(c.Batches[0].X), c.Batches[0].Y).backward();
        kfac.step();
        using var live = KroneckerFactored.Of(kfac.Estimate);
        var objective = new Objective(c.Model, c.Likelihood, [c.Batches[0]]);
        using var measured = new KroneckerFactored(objective, kind);
        Assert.True(DenseCurvature.RelativeError(live.ToDense(), measured.ToDense()) < Tolerance);
        Assert.Equal("unit-wise BatchNorm1d", live.Coverage.Rows.Single(r => r.Parameter == "n.weight").Block);
        var weights = ParameterLayout.Of(c.Model, n => n.EndsWith("weight", StringComparison.Ordinal));
        using var some = KroneckerFactored.Of(kfac.Estimate, weights);
        using var expected = new KroneckerFactored(new Objective(c.Model, c.Likelihood, [c.Batches[0]], weights), kind);
        Assert.True(DenseCurvature.RelativeError(some.ToDense(), expected.ToDense()) < Tolerance);
        kfac.Dispose();
        Assert.True(DenseCurvature.RelativeError(live.ToDense(), measured.ToDense()) < Tolerance); // a copy
    }

    [Theory, InlineData(DampingMethod.Eigenbasis), InlineData(DampingMethod.FactoredTikhonov)]
    public void Damped_inverse_is_the_inverse_of_the_dense_damped_matrix(DampingMethod method)
    {
        const double Damping = 0.02;
        foreach (string name in (string[])["mlp", "mlp, sum", "frozen weight", "weight sharing"])
        {
            using var factored = new KroneckerFactored(CurvatureCases.Make(name).Objective());
            using var inverse = factored.Inverse(Damping, method);
            var identity = eye(factored.Dimension, dtype: ScalarType.Float64);
            Tensor damped;
            if (method == DampingMethod.Eigenbasis)
                damped = DenseOf(factored) + Damping * identity;
            else
            {
                damped = DenseOf(
                    factored,
                    (a, g) =>
                    {
                        double pi = Math.Sqrt(a.trace().ToDouble() / a.shape[0] / (g.trace().ToDouble() / g.shape[0])),
                            root = Math.Sqrt(Damping);
                        return (a + pi * root * eye(a.shape[0], dtype: a.dtype), g + root / pi * eye(g.shape[0], dtype: g.dtype));
                    }
                );
                damped += Damping * damped.abs().sum(1).eq(0).to(ScalarType.Float64).diag(); // no block: λ alone
            }
            var v = randn(factored.Dimension, 3, dtype: ScalarType.Float64);
            var x = inverse.Apply(v);
            Assert.True(DenseCurvature.RelativeError(x, linalg.solve(damped, v)) < 1e-9, name);
            Assert.Empty(inverse.Messages);
            var report = inverse.LastReport!;
            Assert.Equal(method == DampingMethod.Eigenbasis ? InverseStatus.Solved : InverseStatus.Approximate, report.Status);
            double residual = ((v - factored.Damped(Damping).Apply(x)).norm(0) / v.norm(0)).max().ToDouble();
            Assert.Equal(residual, report.RelativeResidual!.Value, 1e-9);
            Assert.Equal(method == DampingMethod.Eigenbasis, residual < 1e-9);
            using var quiet = factored.Inverse(Damping, method, measureResidual: false);
            Assert.True(quiet.Apply(v).equal(x).all().ToBoolean());
            Assert.Null(quiet.LastReport!.RelativeResidual);
        }
    }

    [Fact]
    public void Plain_function_has_no_factors()
    {
        var w = nn.Parameter(ones(3));
        Assert.Throws<ArgumentException>(() => new KroneckerFactored(new Objective(() => w.sum(), new ParameterLayout([("w", w)]))));
    }
}
