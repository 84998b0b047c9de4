using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;
using Amari.Tests.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The states, errors and uses of an estimate by itself, without an optimizer.</summary>
public sealed class KroneckerEstimateAloneTests : KroneckerEstimateTest
{
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
        Refused("The state of the estimate is malformed", v => v["refreshedShares"]!["a"] = "x");
        Refused("lacks 'generator'", other: tensors.Where(t => t.Key != "generator").ToDictionary());
        Refused("lacks 'a.A'", other: tensors.Where(t => t.Key != "a.A").ToDictionary());
        Refused("has the shape", other: new(tensors) { ["a.A"] = eye(3) });
    }

    [Fact]
    public void Every_tensor_of_an_eigenbasis_must_have_its_shape()
    {
        var (x, y) = Batch();
        using var estimate = Make(Exact with { Inverse = new InverseOptions.EigenvalueCorrection() });
        for (int step = 0; step < 2; step++)
        {
            Backward(x, y);
            estimate.Update();
        }
        var (tensors, values) = estimate.Snapshot();
        string[] names = [.. tensors.Keys.Where(n => n.StartsWith("a.", StringComparison.Ordinal))];
        foreach (string suffix in (string[])["A", "G", "Left", "LeftValues", "Right", "RightValues", "Values"])
            Assert.Contains("a." + suffix, names);
        foreach (string name in names)
        {
            var wider = zeros([.. tensors[name].shape[..^1], tensors[name].shape[^1] + 1]);
            var e = Assert.Throws<InvalidDataException>(() =>
                estimate.Restore(new(new Dictionary<string, Tensor>(tensors) { [name] = wider }, values))
            );
            Assert.Contains($"'{name}' has the shape", e.Message, StringComparison.Ordinal);
        }
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
