using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;
using Amari.Tests.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>An estimate by itself, without an optimizer: against factors made by hand and dense solves.</summary>
public sealed class KroneckerEstimateAloneTests : KfacTest
{
    private const double Tolerance = 1e-11,
        Damping = 0.03;

    private static readonly CurvatureOptions Exact = new()
    {
        Fisher = new FisherOptions.Exact(),
        Inverse = new InverseOptions.Eigenbasis(),
        Refresh = new()
        {
            FactorInterval = 1,
            InverseInterval = 1,
            Warmup = null,
        },
    };

    private readonly Linear _a,
        _b;
    private readonly Categorical _likelihood = new();

    public KroneckerEstimateAloneTests()
        : base(17)
    {
        (_a, _b) = (nn.Linear(4, 5), nn.Linear(5, 3));
        Model = nn.Sequential(("a", _a), ("t", nn.Tanh()), ("b", _b));
    }

    private nn.Module<Tensor, Tensor> Model { get; }

    private KroneckerEstimate Make(CurvatureOptions? options = null) => new(Model, _likelihood, options ?? Exact) { Damping = Damping };

    private static (Tensor X, Tensor Y) Batch(long n = 7) => (randn(n, 4), randint(0, 3, [n]));

    private void Backward(Tensor x, Tensor y)
    {
        Model.zero_grad();
        nn.functional.cross_entropy(Model.call(x), y).backward();
    }

    private Tensor Flat() => cat([.. Model.parameters().Select(p => p.grad!.flatten())]);

    private static Tensor WithOne(Tensor a) => cat([a, ones(a.shape[0], 1)], 1);

    /// <summary>A and G of both layers, of activations and gradients by hand: F = J' (diag p - p p') J for the softmax.</summary>
    private (Tensor A, Tensor G)[] Factors(Tensor x)
    {
        using var off = no_grad();
        long n = x.shape[0];
        var h = x.mm(_a.weight!.T).add(_a.bias!).tanh();
        var p = h.mm(_b.weight!.T).add(_b.bias!).softmax(1);
        var outputs = zeros(3, 3);
        var hidden = zeros(5, 5);
        for (long i = 0; i < n; i++)
        {
            var lambda = p[i].diag() - outer(p[i], p[i]);
            var back = _b.weight!.mm((1 - h[i].square()).diag()); // ∂f / ∂s of the first layer: [3, 5]
            outputs += lambda;
            hidden += back.T.mm(lambda).mm(back);
        }
        var (first, second) = (WithOne(x), WithOne(h));
        return [(first.T.mm(first) / n, hidden / n), (second.T.mm(second) / n, outputs / n)];
    }

    /// <summary>The same of the gradients of the labels.</summary>
    private (Tensor A, Tensor G)[] Empirical(Tensor x, Tensor y)
    {
        using var off = no_grad();
        long n = x.shape[0];
        var h = x.mm(_a.weight!.T).add(_a.bias!).tanh();
        var outputs = h.mm(_b.weight!.T).add(_b.bias!).softmax(1) - nn.functional.one_hot(y, 3);
        var hidden = outputs.mm(_b.weight!) * (1 - h.square());
        var (first, second) = (WithOne(x), WithOne(h));
        return [(first.T.mm(first) / n, hidden.T.mm(hidden) / n), (second.T.mm(second) / n, outputs.T.mm(outputs) / n)];
    }

    private static (Tensor A, Tensor G)[] Mean((Tensor A, Tensor G)[] one, (Tensor A, Tensor G)[] other, double share) =>
        [.. one.Zip(other, (p, q) => (p.A * share + q.A * (1 - share), p.G * share + q.G * (1 - share)))];

    private static Tensor Matrix((Tensor A, Tensor G)[] factors) =>
        block_diag([.. factors.Select(f => Dense.Kronecker(f.A, f.G, bias: true))]);

    private static Tensor Solution((Tensor A, Tensor G)[] factors, Tensor v, double damping = Damping)
    {
        var matrix = Matrix(factors);
        return linalg.solve(matrix + damping * eye(matrix.shape[0]), v);
    }

    private static void IsNear(Tensor actual, Tensor expected) => Assert.InRange(Dense.RelativeError(actual, expected), 0, Tolerance);

    private static void Hold(KroneckerEstimate estimate, (Tensor A, Tensor G)[] expected)
    {
        using var factored = KroneckerFactored.Of(estimate);
        Assert.Equal(expected.Length, factored.Factors.Count);
        foreach (var ((_, a, g), (expectedA, expectedG)) in factored.Factors.Zip(expected))
        {
            IsNear(a, expectedA);
            IsNear(g, expectedG);
        }
    }

    [Fact]
    public void Factors_of_a_batch_are_those_by_hand()
    {
        var (x, y) = Batch();
        using var exact = Make();
        using var empirical = new KroneckerEstimate(Model, options: Exact with { Fisher = null });
        Backward(x, y);
        exact.Update();
        empirical.Update();
        Hold(exact, Factors(x));
        Hold(empirical, Empirical(x, y));
        Assert.Equal((FisherKind.Exact, FisherKind.Empirical), (exact.Fisher, empirical.Fisher));
        Assert.All(exact.Coverage.Rows, r => Assert.Equal("K-FAC Linear", r.Block));
        Assert.Empty(exact.Reports);
    }

    [Fact]
    public void Reduction_says_what_the_loss_is()
    {
        var (x, y) = Batch();
        using var estimate = new KroneckerEstimate(Model, options: Exact with { Fisher = null }, reduction: LossReduction.Sum);
        Model.zero_grad();
        nn.functional.cross_entropy(Model.call(x), y, reduction: nn.Reduction.Sum).backward();
        estimate.Update();
        Hold(estimate, Empirical(x, y));
    }

    [Fact]
    public void Precondition_is_the_dense_solution()
    {
        var (x, y) = Batch();
        using var estimate = Make();
        Backward(x, y);
        estimate.Update();
        IsNear(estimate.Precondition(Flat()), Solution(Factors(x), Flat()));
        var v = randn(43, 3);
        IsNear(estimate.Precondition(v), Solution(Factors(x), v));
        estimate.Damping = 0.5; // in the eigenbasis at once
        IsNear(estimate.Precondition(v), Solution(Factors(x), v, 0.5));
    }

    [Fact]
    public void Factored_damping_is_the_dense_solution_of_damped_factors()
    {
        var (x, _) = Batch();
        foreach (var inverse in (InverseOptions[])[new InverseOptions.Cholesky(), new InverseOptions.Nystrom(), new InverseOptions.Auto()])
        {
            using var estimate = Make(Exact with { Inverse = inverse });
            estimate.Measure(Data(x));
            var v = randn(43);
            var damped = Factors(x)
                .Select(f =>
                {
                    double pi = Math.Sqrt(f.A.diagonal().mean().ToDouble() / f.G.diagonal().mean().ToDouble()),
                        root = Math.Sqrt(Damping);
                    return (f.A + pi * root * eye(f.A.shape[0]), f.G + root / pi * eye(f.G.shape[0]));
                })
                .ToArray();
            IsNear(estimate.Precondition(v), Solution(damped, v, 0));
        }
    }

    [Fact]
    public void Corrected_eigenvalues_are_mean_squares_in_the_eigenbasis()
    {
        var (x, y) = Batch();
        using var estimate = Make(
            Exact with
            {
                Fisher = new FisherOptions.Empirical(),
                Inverse = new InverseOptions.EigenvalueCorrection(),
            }
        );
        estimate.Measure(new(Model, _likelihood, [(x, y)]));
        List<Tensor> blocks = [];
        using var off = no_grad();
        var h = x.mm(_a.weight!.T).add(_a.bias!).tanh();
        var outputs = h.mm(_b.weight!.T).add(_b.bias!).softmax(1) - nn.functional.one_hot(y, 3);
        Tensor[] gradients = [outputs.mm(_b.weight!) * (1 - h.square()), outputs],
            inputs = [WithOne(x), WithOne(h)];
        foreach (var ((a, g), i) in Empirical(x, y).Select((f, i) => (f, i)))
        {
            var basis = kron(linalg.eigh(g).Item2, linalg.eigh(a).Item2);
            var each = stack([.. Enumerable.Range(0, 7).Select(n => outer(gradients[i][n], inputs[i][n]).flatten())]);
            var values = each.mm(basis).square().mean([0]);
            blocks.Add(Reordered(basis.mm(values.diag()).mm(basis.T), a.shape[0], g.shape[0]));
        }
        var matrix = block_diag([.. blocks]);
        var v = randn(43);
        IsNear(estimate.Precondition(v), linalg.solve(matrix + Damping * eye(43), v));
    }

    /// <summary>From [W b] row by row to W, then b.</summary>
    private static Tensor Reordered(Tensor matrix, long inputs, long outputs)
    {
        var places = arange(inputs * outputs, dtype: ScalarType.Int64).view(outputs, inputs);
        var order = cat([places.narrow(1, 0, inputs - 1).flatten(), places.select(1, inputs - 1)]);
        return matrix.index_select(0, order).index_select(1, order);
    }

    private Objective Data(params Tensor[] batches) =>
        new(Model, _likelihood, [.. batches.Select(x => (x, zeros(x.shape[0], ScalarType.Int64)))]);

    [Fact]
    public void Measure_takes_all_data_in_place_of_what_there_was()
    {
        var (x, y) = Batch(5);
        var (rest, _) = Batch(8);
        using var estimate = Make();
        Backward(x, y);
        estimate.Update();
        estimate.Measure(Data(x, rest));
        Hold(estimate, Factors(cat([x, rest])));
        var v = randn(43);
        IsNear(estimate.Precondition(v), Solution(Factors(cat([x, rest])), v));
        estimate.Measure(Data(rest));
        Hold(estimate, Factors(rest));
        Assert.All(Model.parameters(), p => Assert.NotNull(p.grad)); // as they were
    }

    [Fact]
    public void Running_average_weighs_as_the_options_say()
    {
        var batches = Enumerable.Range(0, 4).Select(_ => Batch()).ToList();
        using var estimate = Make(Exact with { FactorEma = 0.6 });
        (Tensor, Tensor)[]? expected = null;
        for (int k = 1; k <= batches.Count; k++)
        {
            var (x, y) = batches[k - 1];
            Backward(x, y);
            estimate.Update();
            double kept = Math.Min(1 - 1.0 / k, 0.6);
            expected = expected is null ? Factors(x) : Mean(expected, Factors(x), kept);
            Hold(estimate, expected);
        }
    }

    [Fact]
    public void Micro_batches_are_one_measurement_of_all()
    {
        var (x, y) = Batch(8);
        using var estimate = Make();
        foreach (var (some, labels) in x.split(4).Zip(y.split(4)))
            nn.functional.cross_entropy(Model.call(some), labels).backward();
        estimate.Update();
        Hold(estimate, Factors(x));
    }

    [Fact]
    public void Refresh_schedule_is_kept()
    {
        using var estimate = Make(
            Exact with
            {
                FactorEma = 0,
                Refresh = new()
                {
                    FactorInterval = 2,
                    InverseInterval = 4,
                    Warmup = null,
                },
            }
        );
        var v = randn(43);
        Tensor factors = zeros(0),
            inverted = zeros(0);
        for (int step = 1; step <= 9; step++)
        {
            var (x, y) = Batch();
            Backward(x, y);
            estimate.Update();
            if (step % 2 == 1)
                factors = x;
            if (step % 4 == 1)
                inverted = x;
            Hold(estimate, Factors(factors));
            IsNear(estimate.Precondition(v), Solution(Factors(inverted), v));
        }
    }

    [Fact]
    public void Forgotten_passes_are_not_measured()
    {
        var (x, y) = Batch();
        var (other, labels) = Batch();
        using var estimate = Make();
        Backward(other, labels);
        estimate.Forget();
        Backward(x, y);
        using (no_grad())
            Model.call(other).Dispose();
        estimate.Update();
        Hold(estimate, Factors(x));
    }

    [Fact]
    public void Terms_without_a_label_are_left_out()
    {
        var (x, y) = Batch();
        y[2] = -100;
        y[5] = -100;
        using var estimate = Make();
        estimate.SetTargets(y);
        Backward(x, y);
        estimate.Update();
        Hold(estimate, Factors(x.index_select(0, tensor(new long[] { 0, 1, 3, 4, 6 }))));
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Snapshot_continues_bit_for_bit(bool corrected)
    {
        var options = Exact with
        {
            Fisher = new FisherOptions.MonteCarlo { Samples = 2 },
            Inverse = corrected ? new InverseOptions.EigenvalueCorrection() : new InverseOptions.Nystrom(),
            Refresh = new() { FactorInterval = 2, InverseInterval = 3 },
        };
        var batches = Enumerable.Range(0, 9).Select(_ => Batch()).ToList();
        var v = randn(43);
        using var whole = Make(options);
        OptimizerSnapshot? saved = null;
        List<Tensor> expected = [];
        foreach (var (x, y) in batches)
        {
            Backward(x, y);
            whole.Update();
            expected.Add(whole.Precondition(v));
            if (expected.Count != 4)
                continue;
            var (tensors, values) = whole.Snapshot();
            saved = new(tensors.ToDictionary(t => t.Key, t => t.Value.clone()), JsonNode.Parse(values.ToJsonString())!.AsObject());
        }
        using var second = Make(options);
        second.Damping = 9;
        second.Restore(saved!);
        Assert.Equal(Damping, second.Damping);
        Assert.True(second.Precondition(v).equal(expected[3]).all().ToBoolean());
        foreach (var ((x, y), u) in batches.Zip(expected).Skip(4))
        {
            Backward(x, y);
            second.Update();
            Assert.True(second.Precondition(v).equal(u).all().ToBoolean());
        }
    }

    [Fact]
    public void Bad_states_change_nothing()
    {
        var (x, y) = Batch();
        using var estimate = Make();
        Backward(x, y);
        estimate.Update();
        var (tensors, values) = estimate.Snapshot();
        var expected = estimate.Precondition(Flat());
        void Refused(string message, Action<JsonObject>? change = null, Dictionary<string, Tensor>? other = null)
        {
            var changed = values.DeepClone().AsObject();
            change?.Invoke(changed);
            var e = Assert.Throws<InvalidDataException>(() => estimate.Restore(new(other ?? tensors, changed)));
            Assert.Contains(message, e.Message, StringComparison.Ordinal);
            Assert.True(estimate.Precondition(Flat()).equal(expected).all().ToBoolean());
        }
        Refused("The state is of Kfac, not of a KroneckerEstimate.", v => v["type"] = "Kfac");
        Refused("The state is of nothing", v => v.Remove("type"));
        Refused("other layers", v => v["blocks"]!.AsObject().Remove("a"));
        Refused("other layers", v => v.Remove("blocks"));
        Refused("The saved 'step' is -1; it must be at least 0.", v => v["step"] = -1L);
        Refused("The saved 'step' is missing", v => v.Remove("step"));
        Refused("The saved 'a' is \"x\"", v => v["blocks"]!["a"] = "x");
        Refused("The saved 'damping' is 0; it must be above 0.", v => v["damping"] = 0.0);
        Refused("The state of the estimate is malformed", v => v["schedule"]!["planned"] = "x");
        Refused("The state of the estimate is malformed", v => v["remeasures"] = 3);
        Refused("lacks 'generator'", other: tensors.Where(t => t.Key != "generator").ToDictionary());
        Refused("lacks 'a.A'", other: tensors.Where(t => t.Key != "a.A").ToDictionary());
        Refused("has the shape", other: new(tensors) { ["a.A"] = eye(3) });
    }

    /// <summary>Of one linear layer with a Gaussian it is the inverse of the Gauss-Newton matrix itself.</summary>
    [Fact]
    public void Conjugate_gradient_needs_fewer_products_with_it()
    {
        var x = randn(40, 4) * tensor(new[] { 30, 3, 0.3, 0.03 });
        var objective = new Objective(nn.Linear(4, 3), new Gaussian(), [(x, randn(40, 3))]);
        using var estimate = new KroneckerEstimate(objective.Model!, objective.Likelihood, Exact) { Damping = 1e-4 };
        estimate.Measure(objective);
        var damped = new GaussNewton(objective).Damped(1e-4);
        var g = objective.Gradient().Gradient;
        CgResult Solve(LinearOperator? by) => ConjugateGradient.Solve(damped, g, new() { MaxIterations = 400, Tolerance = 1e-6 }, by);
        var (plain, preconditioned) = (Solve(null), Solve(LinearOperator.FromFunction(15, ScalarType.Float64, estimate.Precondition)));
        Assert.Equal(CgStatus.Converged, preconditioned.Status);
        Assert.InRange(preconditioned.Iterations, 1, 2);
        Assert.True(plain.Iterations > 4, $"{plain.Iterations}");
    }

    [Fact]
    public void What_has_no_block_or_no_factors_is_divided_by_the_damping()
    {
        var c = CurvatureCases.Make("unused parameters");
        var (x, y) = c.Batches[0];
        using var estimate = new KroneckerEstimate(c.Model, c.Likelihood, Exact) { Damping = Damping };
        c.Likelihood.Loss(c.Model.call(x), y).backward();
        estimate.Update();
        var layout = estimate.Parameters;
        var v = randn(layout.Dimension);
        foreach (var ((name, _), u, part) in layout.Parameters.Zip(layout.Split(estimate.Precondition(v)), layout.Split(v)))
            Assert.Equal(!name.StartsWith("layer", StringComparison.Ordinal), u.allclose(part / Damping, 1e-12, 0));
        Assert.Equal("none", estimate.Coverage.Rows.Single(r => r.Parameter == "scale").Block);
        Assert.Empty(estimate.Reports);
        estimate.Measure(c.Objective());
        var (layer, message) = Assert.Single(estimate.Reports);
        Assert.Equal("never", layer);
        Assert.Contains("not seen", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Chosen_parameters_are_those_of_vectors()
    {
        var (x, y) = Batch();
        using var estimate = new KroneckerEstimate(Model, _likelihood, Exact, ParameterLayout.Of(Model, n => n[0] == 'b'))
        {
            Damping = Damping,
        };
        Backward(x, y);
        estimate.Update();
        var v = randn(18);
        IsNear(estimate.Precondition(v), Solution([Factors(x)[1]], v));
        Assert.Equal(["b.weight", "b.bias"], estimate.Coverage.Rows.Select(r => r.Parameter));
    }

    [Fact]
    public void Module_that_moves_is_followed()
    {
        var (x, y) = Batch();
        using var estimate = Make();
        Backward(x, y);
        estimate.Update();
        var v = randn(43);
        var expected = estimate.Precondition(v);
        Model.to(ScalarType.Float32);
        var actual = estimate.Precondition(v.to_type(ScalarType.Float32));
        Assert.Equal(ScalarType.Float32, actual.dtype);
        Assert.InRange(Dense.RelativeError(actual.to_type(ScalarType.Float64), expected), 0, 1e-5);
        Backward(x.to_type(ScalarType.Float32), y);
        estimate.Update();
    }

    [Fact]
    public void Infinite_outputs_are_reported_and_factors_stay()
    {
        var (x, y) = Batch();
        using var estimate = Make();
        Backward(x, y);
        estimate.Update();
        var (bad, labels) = Batch();
        bad[0, 0] = double.PositiveInfinity;
        bad[1, 0] = double.NaN;
        Backward(bad, labels);
        estimate.Update();
        Hold(estimate, Factors(x));
        Assert.Equal(["a", "b"], estimate.Reports.Select(r => r.Layer));
        Assert.All(estimate.Reports, r => Assert.Contains("not finite", r.Message, StringComparison.Ordinal));
        estimate.Measure(Data(bad));
        Hold(estimate, Factors(x));
        Assert.Equal(4, estimate.Reports.Count);
    }

    [Fact]
    public void Live_tensors_do_not_grow()
    {
        var (x, y) = Batch();
        var objective = Data(x);
        var v = randn(43);
        foreach (var inverse in (InverseOptions[])[new InverseOptions.Nystrom(), new InverseOptions.EigenvalueCorrection()])
        {
            long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount,
                made = 0;
            using (var estimate = Make(Exact with { Inverse = inverse }))
            {
                for (int i = 0; i < 12; i++)
                {
                    using (var scope = NewDisposeScope())
                        Backward(x, y);
                    estimate.Update();
                    estimate.Precondition(v).Dispose();
                    estimate.Measure(objective);
                    using (var scope = NewDisposeScope())
                        estimate.Restore(estimate.Snapshot());
                    Model.zero_grad();
                    if (i == 1)
                        made = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
                }
                Assert.Equal(made, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
            }
            Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        }
    }

    /// <summary>The examples of docs/optimizers/kfac.md.</summary>
    [Fact]
    public void Examples_of_the_docs_train_and_solve()
    {
        var (x, y) = Batch(30);
        using var estimate = new KroneckerEstimate(Model, new Categorical()) { Damping = 1e-3 };
        var w = estimate.Parameters;
        var objective = new Objective(Model, new Categorical(), [(x, y)]);
        double before = objective.Loss();
        for (int step = 0; step < 40; step++)
        {
            Model.zero_grad();
            nn.functional.cross_entropy(Model.call(x), y).backward();
            estimate.Update();
            var gradient = w.Flatten([.. w.Parameters.Select(p => p.Parameter.grad)]);
            w.Add(estimate.Precondition(gradient), alpha: -0.1);
        }
        Assert.InRange(objective.Loss(), 0, 0.7 * before);
        estimate.Measure(objective);
        var inverse = LinearOperator.FromFunction(w.Dimension, w.Type, estimate.Precondition);
        var result = ConjugateGradient.Solve(new GaussNewton(objective).Damped(1e-3), objective.Gradient().Gradient, new(), inverse);
        Assert.Equal(CgStatus.Converged, result.Status);
    }

    [Fact]
    public void Disposed_estimate_leaves_the_model_as_it_was()
    {
        var (x, y) = Batch();
        Backward(x, y);
        var expected = Flat();
        using (var estimate = Make())
        {
            Backward(x, y);
            Assert.True(Flat().equal(expected).all().ToBoolean());
            estimate.Update();
        }
        Backward(x, y);
        Assert.True(Flat().equal(expected).all().ToBoolean());
    }

    [Fact]
    public void Estimate_of_an_optimizer_preconditions_and_is_not_changed_from_outside()
    {
        var (x, y) = Batch();
        using var kfac = new Kfac(Model, Plain with { LearningRate = 0 }, _likelihood);
        Backward(x, y);
        kfac.step();
        IsNear(kfac.Estimate.Precondition(Flat()), Solution(Factors(x), Flat()));
        Assert.Equal(Damping, kfac.Estimate.Damping);
        foreach (
            var change in (Action[])
                [
                    kfac.Estimate.Update,
                    () => kfac.Estimate.Measure(Data(x)),
                    () => kfac.Estimate.SetTargets(y),
                    () => kfac.Estimate.Snapshot(),
                    () => kfac.Estimate.Damping = 1,
                ]
        )
            Assert.Contains("an optimizer's", Assert.Throws<InvalidOperationException>(change).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bad_input_is_one_sentence()
    {
        var (x, y) = Batch();
        using var estimate = Make();
        void Fails<T>(string message, Action act)
            where T : Exception => Assert.Contains(message, Assert.Throws<T>(act).Message, StringComparison.Ordinal);
        void Unmade<T>(string message, Func<KroneckerEstimate> make)
            where T : Exception => Fails<T>(message, () => make().Dispose());
        Unmade<ArgumentNullException>("model", () => new(null!));
        Unmade<ArgumentException>("The Exact Fisher needs a likelihood", () => new(Model, options: Exact));
        Unmade<ArgumentException>(
            "EKFAC corrects eigenvalues",
            () =>
                new(Model, options: new() { Fisher = new FisherOptions.ForwardOnly(), Inverse = new InverseOptions.EigenvalueCorrection() })
        );
        Unmade<ArgumentException>(
            "Distribution is of an optimizer",
            () => new(Model, options: new() { Distribution = new() { GradWorkerFraction = 0 } })
        );
        Unmade<ArgumentException>("model of one or two tensors", () => new(nn.LSTM(2, 2)));
        Fails<ArgumentOutOfRangeException>("Damping is -1", () => estimate.Damping = -1);
        Fails<InvalidOperationException>("There is no inverse yet", () => estimate.Precondition(randn(43)));
        Fails<InvalidOperationException>("There was no pass to measure", estimate.Update);
        Fails<ArgumentException>("another model", () => estimate.Measure(new(nn.Linear(4, 3), _likelihood, [(x, y)])));
        var w = nn.Parameter(ones(3));
        Fails<ArgumentException>("plain function", () => estimate.Measure(new Objective(() => w.sum(), new ParameterLayout([("w", w)]))));
        Fails<ArgumentNullException>("objective", () => estimate.Measure(null!));
        Fails<ArgumentNullException>("targets", () => estimate.SetTargets(null!));
        Fails<ArgumentNullException>("snapshot", () => estimate.Restore(null!));
        Backward(x, y);
        estimate.Update();
        Fails<ArgumentException>("it must be Float64 [43] or [43, k]", () => estimate.Precondition(randn(42)));
        Fails<ArgumentException>("it must be Float64 [43]", () => estimate.Precondition(randn(43, dtype: ScalarType.Float32)));
        Fails<ArgumentNullException>("v", () => estimate.Precondition(null!));
    }
}
