using Amari.Curvature;
using Amari.Kronecker;
using Amari.Solvers;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>The forward-only Fisher, parameter groups, bfloat16 factors, inverses by iteration.</summary>
public sealed class KfacVariantTests() : KfacTest(51)
{
    private static Sequential Net() => nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));

    /// <summary>The change of every parameter in one step.</summary>
    private static Dictionary<string, Tensor> Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, Tensor x, Tensor y) =>
        Step(model, optimizer, new Categorical(), x, y).ToDictionary(s => s.Key, s => s.Value.Change);

    [Theory, InlineData(true, 1), InlineData(false, 2)]
    public void Input_only_solves_with_the_second_moment_of_the_inputs(bool likelihood, int micro)
    {
        var model = Net();
        using var optimizer = new Kfac(
            model,
            Plain with
            {
                Curvature = Plain.Curvature with { Fisher = new FisherOptions.ForwardOnly() },
            },
            likelihood ? new Categorical() : null
        );
        var (x, y) = (randn(8, 4), randint(0, 3, [8]));
        var hidden = ((Linear)model[0]).call(x).tanh().detach();
        var before = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().clone());
        foreach (var (xs, ys) in x.chunk(micro).Zip(y.chunk(micro)))
            (new Categorical().Loss(model.call(xs), ys) / micro).backward();
        optimizer.step();
        foreach (var (layer, rows) in new[] { ("a", x), ("b", hidden) })
        {
            var a = cat([rows, ones(8, 1)], 1);
            var expected = a.T.mm(a) / 8;
            var state = optimizer.Snapshot().Tensors;
            Assert.InRange(Dense.RelativeError(state[$"{layer}.A"], expected), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(state[$"{layer}.G"], eye(state[$"{layer}.G"].shape[0])), 0, 1e-12);
            var (w, b) = (model.get_parameter($"{layer}.weight")!, model.get_parameter($"{layer}.bias")!);
            var v = cat([w.grad!, b.grad!.unsqueeze(1)], 1);
            var change = cat([w.detach() - before[$"{layer}.weight"], (b.detach() - before[$"{layer}.bias"]).unsqueeze(1)], 1);
            Assert.InRange(Dense.RelativeError(change, -v.mm(linalg.inv(expected + 0.03 * eye(a.shape[1])))), 0, 1e-10);
        }
        Assert.All(optimizer.Coverage.Rows, r => Assert.EndsWith("ForwardOnly Fisher", r.Reason, StringComparison.Ordinal));
    }

    [Fact]
    public void Input_only_of_other_layers_has_unit_gradients()
    {
        var model = nn.Sequential(
            ("e", nn.Embedding(6, 4)),
            ("c", nn.Conv1d(3, 4, 2, groups: 1)),
            ("n", nn.LayerNorm(3)),
            ("f", nn.Flatten()),
            ("l", nn.Linear(12, 3))
        );
        using var optimizer = new Kfac(
            model,
            Plain with
            {
                Curvature = Plain.Curvature with { Fisher = new FisherOptions.ForwardOnly() },
            },
            new Categorical()
        );
        var x = randint(0, 6, [5, 3]);
        var normal = nn.functional.layer_norm(((Conv1d)model[1]).call(((Embedding)model[0]).call(x)), [3]).detach();
        Step(model, optimizer, x, randint(0, 3, [5]));
        var state = optimizer.Snapshot().Tensors;
        Assert.All((string[])["e.G", "c.G", "l.G"], k => Assert.InRange(Dense.RelativeError(state[k], eye(state[k].shape[0])), 0, 1e-12));
        for (int unit = 0; unit < 3; unit++)
        {
            var p = stack([normal.select(2, unit).flatten(), ones(20)], 1);
            Assert.InRange(Dense.RelativeError(state["n.F"][unit], p.T.mm(p) / 20), 0, 1e-10);
        }
    }

    [Fact]
    public void Forward_only_is_refused_without_layers_or_where_gradients_are_needed()
    {
        Assert.Throws<ArgumentException>(() =>
            new Kfac(
                Net(),
                Plain with
                {
                    Curvature = Plain.Curvature with
                    {
                        Fisher = new FisherOptions.ForwardOnly(),
                        Inverse = new InverseOptions.EigenvalueCorrection(),
                    },
                }
            )
        );
        var objective = new Objective(Net(), new Categorical(), [(randn(8, 4), randint(0, 3, [8]))]);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Fisher(objective, FisherKind.ForwardOnly));
        Assert.Throws<ArgumentOutOfRangeException>(() => new NaturalGradient.Options { Fisher = FisherKind.ForwardOnly });
        using var factored = new KroneckerFactored(objective, FisherKind.ForwardOnly);
        Assert.All(factored.Factors, f => Assert.InRange(Dense.RelativeError(f.G, eye(f.G.shape[0])), 0, 1e-12));
    }

    private static ParameterGroup<T> Group<T>(nn.Module model, T options, Func<string, bool> chosen)
        where T : Kfac.BaseOptions => new(model.named_parameters().Where(p => chosen(p.name)), options);

    [Fact]
    public void Groups_have_their_own_learning_rate_damping_momentum_and_decay()
    {
        var (x, y) = (randn(8, 4), randint(0, 3, [8]));
        var second = Plain with
        {
            LearningRate = 0.2,
            Damping = 0.5,
            WeightDecay = 0.1,
            Step = (AutoStep)Plain.Step with { Momentum = 0.7 },
        };
        List<Dictionary<string, Tensor>> Run(Func<nn.Module, Kfac> make)
        {
            manual_seed(52);
            var model = Net();
            using var optimizer = make(model);
            return [Step(model, optimizer, x, y), Step(model, optimizer, x, y)];
        }
        var mixed = Run(m =>
            new(Group(m, Plain, n => n.StartsWith('a')), [Group(m, OwnOf(second), n => n.StartsWith('b'))], m, new Categorical())
        );
        var (first, other) = (Run(m => new(m, Plain, new Categorical())), Run(m => new(m, second, new Categorical())));
        foreach (string end in (string[])["weight", "bias"]) // in the first step the blocks do not see one another
        {
            Assert.InRange(Dense.RelativeError(mixed[0][$"a.{end}"], first[0][$"a.{end}"]), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(mixed[0][$"b.{end}"], other[0][$"b.{end}"]), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(first[0][$"b.{end}"], other[0][$"b.{end}"]), 0.1, 1000);
        }
        var clipped = Run(m =>
            new(
                Group(m, Plain with { Step = (AutoStep)Plain.Step with { KlClip = 1e-4 } }, n => n.StartsWith('a')),
                [Group(m, OwnOf(second), n => n.StartsWith('b'))],
                m,
                new Categorical()
            )
        );
        double nu = (clipped[0]["a.bias"].norm() / mixed[0]["a.bias"].norm()).ToDouble();
        Assert.InRange(nu, 1e-4, 0.9);
        Assert.Equal(nu, (clipped[0]["b.bias"].norm() / mixed[0]["b.bias"].norm()).ToDouble(), 1e-9); // one ν for all
    }

    [Fact]
    public void Groups_resume_schedule_and_refuse()
    {
        var model = Net();
        using var optimizer = new Kfac(
            Group(model, Plain, n => n == "a.weight"),
            [Group(model, OwnOf(Plain) with { LearningRate = 0.2 }, n => n != "a.weight")],
            model,
            new Categorical()
        );
        Assert.Equal(["a.weight", "a.bias"], optimizer.Group.Parameters.Select(p => p.Name)); // the bias goes with its weight
        Step(model, optimizer, randn(8, 4), randint(0, 3, [8]));
        optim.lr_scheduler.StepLR(optimizer, 1, 0.5).step();
        Assert.Equal([0.5, 0.1], optimizer.ParamGroups.Take(2).Select(g => g.LearningRate));
        var same = Net();
        using var resumed = new Kfac(
            Group(same, Plain, n => n.StartsWith('a')),
            [Group(same, OwnOf(Plain), n => n.StartsWith('b'))],
            same,
            new Categorical()
        );
        resumed.Restore(optimizer.Snapshot());
        Assert.Equal(0.1, resumed.OtherGroups[0].LearningRate);
        using var single = new Kfac(same, Plain, new Categorical());
        Assert.Throws<InvalidDataException>(() => single.Restore(optimizer.Snapshot()));
        Assert.Throws<ArgumentException>(() =>
            new Kfac(Group(model, Plain, _ => true), [Group(model, OwnOf(Plain), n => n == "a.bias")], model, new Categorical())
        );
        Assert.Throws<ArgumentException>(() => new Kfac(Group(same, Plain, _ => true), [], model, new Categorical()));
    }

    [Fact]
    public void Bfloat16_factors_are_near_the_full_ones()
    {
        var (x, y) = (randn(64, 4), randint(0, 3, [64]));
        Dictionary<string, Tensor> Factors(MatmulPrecision precision)
        {
            manual_seed(53);
            var model = Net();
            using var optimizer = new Kfac(
                model,
                Plain with
                {
                    Curvature = Plain.Curvature with { FactorPrecision = precision },
                },
                new Categorical()
            );
            Step(model, optimizer, x, y);
            return optimizer.Snapshot().Tensors.Where(t => t.Key[^2..] is ".A" or ".G").ToDictionary(t => t.Key, t => t.Value.clone());
        }
        var (full, shorter) = (Factors(MatmulPrecision.Full), Factors(MatmulPrecision.BFloat16));
        foreach (var (name, factor) in full)
        {
            Assert.InRange(Dense.RelativeError(shorter[name], factor), 1e-6, 5e-3);
            Assert.Equal(ScalarType.Float64, shorter[name].dtype);
            Assert.InRange((shorter[name] - shorter[name].T).abs().max().ToDouble(), 0, 1e-15);
        }
    }

    [Fact]
    public void Bfloat16_sums_of_rows_far_from_zero_lose_only_of_their_spread()
    {
        var rows = 100 + randn(64, 20);
        var what = new Measurement(true, true, WeightSharing.Expand, false, false, MatmulPrecision.BFloat16);
        var (exact, mean) = (rows.T.mm(rows), rows.mean([0], keepdim: true));
        var spread = exact - 64 * mean.T.mm(mean);
        Assert.InRange((what.Gram(rows) - exact).norm().ToDouble(), 1e-9, 0.01 * spread.norm().ToDouble());
    }

    [Fact]
    public void Bfloat16_inverses_give_nearly_the_step_take_half_the_memory_and_resume()
    {
        var (x, y) = (randn(64, 4), randint(0, 3, [64]));
        (Dictionary<string, Tensor> Change, long Bytes) Run(MatmulPrecision precision, bool resume = false)
        {
            manual_seed(53);
            var model = Net().to(ScalarType.Float32);
            var options = Plain with
            {
                LearningRate = 0.1,
                Curvature = Plain.Curvature with
                {
                    Inverse = new InverseOptions.Nystrom { Precision = precision },
                    Refresh = Plain.Curvature.Refresh with { InverseInterval = 5 },
                },
            };
            var optimizer = new Kfac(model, options, new Categorical());
            for (int i = 0; i < 7; i++)
            {
                if (resume && i == 3)
                {
                    var other = new Kfac(model, new(), new Categorical());
                    other.Restore(optimizer.Snapshot());
                    optimizer.Dispose();
                    optimizer = other;
                }
                var change = Step(model, optimizer, x.to_type(ScalarType.Float32), y);
                if (i == 6)
                    return (
                        change,
                        optimizer
                            .Snapshot()
                            .Tensors.Where(t => t.Key.EndsWith("Left", StringComparison.Ordinal))
                            .Sum(t => t.Value.numel() * t.Value.ElementSize)
                    );
            }
            throw new InvalidOperationException();
        }
        var (full, shorter, resumed) = (
            Run(MatmulPrecision.Full),
            Run(MatmulPrecision.BFloat16),
            Run(MatmulPrecision.BFloat16, resume: true)
        );
        Assert.Equal(full.Bytes, 2 * shorter.Bytes);
        foreach (var (name, change) in full.Change)
        {
            Assert.InRange(Dense.RelativeError(shorter.Change[name], change), 1e-5, 0.1);
            Assert.Equal(Optimizers.Problem.Values([shorter.Change[name]]), Optimizers.Problem.Values([resumed.Change[name]]));
        }
    }

    /// <summary>Many rows of many columns come in panels up to the diagonal.</summary>
    [Theory, InlineData(512, 300), InlineData(513, 257), InlineData(511, 300), InlineData(700, 20)]
    public void Gram_matrices_are_the_sums_over_rows_and_symmetric(long count, long n)
    {
        var what = new Measurement(true, true, WeightSharing.Expand, false);
        var rows = randn([2, count, n], dtype: ScalarType.Float64);
        var exact = einsum("gri,grj->gij", rows, rows);
        var gram = what.Gram(rows);
        Assert.InRange(Dense.RelativeError(gram, exact), 0, 1e-13);
        Assert.InRange(Dense.RelativeError(what.Gram(rows[0].to_type(ScalarType.Float32)).to_type(ScalarType.Float64), exact[0]), 0, 1e-6);
        Assert.True(gram.eq(what.Gram(rows)).all().ToBoolean());
        Assert.InRange((gram - gram.mT).abs().max().ToDouble(), 0, 1e-12);
    }

    [Theory, InlineData(ScalarType.Float32, 1e-3), InlineData(ScalarType.Float64, 1e-7)]
    public void Newton_Schulz_inverts_from_near_and_refuses_from_far(ScalarType type, double error)
    {
        var b = randn(3, 20, 30);
        var m = b.matmul(b.mT) / 30 + 0.1 * eye(20);
        var near = linalg.inv(m + 0.02 * b.matmul(b.mT) / 30).to_type(type);
        var (inverse, residual, iterations) = NewtonSchulz.Of(m.to_type(type), near);
        Assert.InRange(Dense.RelativeError(inverse!.to_type(ScalarType.Float64), linalg.inv(m)), 0, error);
        Assert.InRange(residual, 0, Math.Sqrt(finfo(type).eps));
        Assert.InRange(iterations, 1, 5);
        Assert.Null(NewtonSchulz.Of(m.to_type(type), 3 * near).Inverse);
        Assert.Null(NewtonSchulz.Of(m.to_type(type), full_like(near, double.NaN)).Inverse);
    }

    [Fact]
    public void Inverses_by_iteration_are_those_by_Cholesky()
    {
        var options = Plain with
        {
            Damping = 0.3,
            Curvature = Plain.Curvature with { Inverse = new InverseOptions.Nystrom(), FactorEma = 0.99 },
        };
        (Dictionary<string, Tensor> State, IReadOnlyList<OptimizerEvent> Events) Run(InverseMethod method, double last = 0.3)
        {
            manual_seed(54);
            var model = Net();
            using var optimizer = new Kfac(
                model,
                options with
                {
                    LearningRate = 0,
                    Curvature = options.Curvature with { Inverse = InverseOptions.Of(method) },
                },
                new Categorical()
            );
            using var data = new Generator(9);
            for (int i = 0; i < 40; i++)
            {
                if (i == 39)
                    optimizer.Group.Options = optimizer.Group.Options with { Damping = last };
                Step(model, optimizer, randn([200, 4], generator: data), randint(0, 3, [200], generator: data));
            }
            return (optimizer.Snapshot().Tensors.ToDictionary(t => t.Key, t => t.Value.clone()), optimizer.Events);
        }
        var (cholesky, auto, iterated) = (Run(InverseMethod.Cholesky), Run(InverseMethod.Auto), Run(InverseMethod.NewtonSchulz));
        foreach (string key in (string[])["a.Left", "a.Right", "b.Left", "b.Right"])
        {
            Assert.Equal(Optimizers.Problem.Values([cholesky.State[key]]), Optimizers.Problem.Values([auto.State[key]]));
            Assert.NotEqual(Optimizers.Problem.Values([cholesky.State[key]]), Optimizers.Problem.Values([iterated.State[key]]));
            Assert.InRange(Dense.RelativeError(iterated.State[key], cholesky.State[key]), 0, 1e-6);
        }
        var jumped = Run(InverseMethod.NewtonSchulz, last: 1e3);
        Assert.Contains(jumped.Events, e => e.Message.Contains("too far to begin from; by Cholesky", StringComparison.Ordinal));
        Assert.InRange(Dense.RelativeError(jumped.State["a.Right"], Run(InverseMethod.Cholesky, last: 1e3).State["a.Right"]), 0, 1e-12);
    }
}
