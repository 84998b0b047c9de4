using Amari.Curvature;
using Amari.Likelihoods;
using Amari.Solvers;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Curvature;

/// <summary>Graphs that are kept in a run: the same products, never of another model, within a budget.</summary>
public sealed class BatchGraphsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static CurvatureOperator[] Operators(Objective objective) =>
        [
            new Hessian(objective),
            new GaussNewton(objective),
            new Fisher(objective, FisherKind.Empirical),
            new Fisher(objective, FisherKind.MonteCarlo, samples: 2),
        ];

    private static Tensor Vector(LinearOperator op, params long[] columns) => randn([op.Dimension, .. columns], dtype: op.Type);

    private static void Same(Tensor expected, Tensor actual) => Assert.True(expected.equal(actual).all().ToBoolean());

    [Theory, InlineData("mlp"), InlineData("convolutions"), InlineData("tied weights"), InlineData("norms and dropout")]
    public void Products_of_a_run_are_the_same_bits(string name)
    {
        var objective = CurvatureCases.Make(name).Objective();
        foreach (var op in Operators(objective))
        {
            Tensor v = Vector(op),
                block = Vector(op, 3);
            Tensor one = op.Apply(v),
                three = op.Apply(block);
            using (op.BeginRun())
            {
                for (int i = 0; i < 2; i++)
                {
                    Same(one, op.Apply(v));
                    Same(three, op.Apply(block));
                }
                Assert.Null(op.Fallback);
                Assert.True(op.KeptBatches > 0);
            }
            Assert.Equal((0, 0L), (op.KeptBatches, op.KeptBytes));
            Same(one, op.Apply(v));
        }
    }

    [Fact]
    public void Data_are_walked_once_in_a_run()
    {
        var c = CurvatureCases.Make("mlp");
        int walks = 0;
        IEnumerable<(Tensor, Tensor)> Data()
        {
            walks++;
            foreach (var (x, y) in c.Batches)
                yield return (x.clone(), y.clone()); // disposed by the walk
        }
        var objective = new Objective(c.Model, c.Likelihood, Data());
        foreach (var op in Operators(objective))
        {
            var v = Vector(op);
            var expected = op.Apply(v);
            walks = 0;
            using var run = op.BeginRun();
            for (int i = 0; i < 3; i++)
                Same(expected, op.Apply(v));
            Assert.Equal(1, walks);
            Assert.Equal(c.Batches.Length, op.KeptBatches);
        }
    }

    public static TheoryData<string> Changes => ["in place", "by a fused step", "there and back", "a buffer", "another tensor"];

    [Theory, MemberData(nameof(Changes))]
    public void A_changed_model_has_new_graphs(string change)
    {
        var c = CurvatureCases.Make("norms and dropout");
        if (change == "by a fused step") // of the kernel, which writes values without a new version
            c = new(c.Model.to(ScalarType.Float32), c.Likelihood, [.. c.Batches.Select(b => (b.X.to(ScalarType.Float32), b.Y))]);
        var objective = c.Objective();
        foreach (var op in Operators(objective))
        {
            var v = Vector(op);
            using var run = op.BeginRun();
            op.Apply(v);
            Change();
            var now = op.Apply(v);
            Same(Operators(objective).First(o => o.GetType() == op.GetType() && Kind(o) == Kind(op)).Apply(v), now);
            Same(now, op.Apply(v));
        }

        static FisherKind? Kind(CurvatureOperator op) => (op as Fisher)?.Kind;

        void Change()
        {
            using var off = no_grad();
            var w = objective.Parameters.Parameters[0].Parameter;
            switch (change)
            {
                case "in place":
                    w.mul_(1.5);
                    break;
                case "there and back":
                    var before = w.clone();
                    w.zero_();
                    w.copy_(before);
                    break;
                case "a buffer":
                    c.Model.named_buffers().First(b => b.name.EndsWith("running_var", StringComparison.Ordinal)).buffer.mul_(2);
                    break;
                case "another tensor":
                    ((BatchNorm1d)c.Model.named_modules().First(m => m.module is BatchNorm1d).module).running_mean = ones(4, dtype: F64);
                    break;
                default:
                    using (var optimizer = new AdamW(c.Model, new() { LearningRate = 0.1 }))
                    {
                        foreach (var p in c.Model.parameters())
                            p.grad = ones_like(p);
                        optimizer.step();
                        optimizer.zero_grad();
                    }
                    break;
            }
        }
    }

    [Fact]
    public void Memory_beyond_the_budget_is_not_kept()
    {
        var c = CurvatureCases.Make("mlp");
        Objective Of(long budget) => new(c.Model, c.Likelihood, c.Batches) { GraphBudget = budget };
        var all = new Hessian(Of(1L << 28));
        var v = Vector(all);
        var expected = all.Apply(v);
        using var first = all.BeginRun();
        all.Apply(v);
        Assert.InRange(all.KeptBytes, 1000, 1 << 28);
        foreach (long budget in (long[])[0, 1, 1000])
        {
            var some = new Hessian(Of(budget));
            using var run = some.BeginRun();
            for (int i = 0; i < 2; i++)
                Same(expected, some.Apply(v));
            Assert.True(some.KeptBatches < c.Batches.Length);
            Assert.True(some.KeptBytes <= budget);
            if (budget > 0)
                Assert.Contains(nameof(Objective.GraphBudget), some.Fallback);
        }
        Assert.Contains("-1", Assert.Throws<ArgumentOutOfRangeException>(() => Of(-1)).Message);
    }

    private sealed class Noisy : nn.Module<Tensor, Tensor>
    {
        private readonly Linear layer = nn.Linear(4, 3, dtype: F64);

        public Noisy()
            : base("noisy") => RegisterComponents();

        public override Tensor forward(Tensor x) => layer.call(nn.functional.dropout(x, 0.5, training: true));
    }

    [Fact]
    public void What_draws_or_is_a_function_is_evaluated_each_time()
    {
        var noisy = new Objective(new Noisy(), new Categorical(), [(randn(8, 4, dtype: F64), randint(0, 3, [8]))]);
        int calls = 0;
        var w = nn.Parameter(randn(3, dtype: F64));
        var function = new Objective(
            () =>
            {
                calls++;
                return w.pow(3).sum();
            },
            new([("w", w)])
        );
        foreach (var (objective, reason) in new[] { (noisy, "random"), (function, "function") })
        {
            var op = new Hessian(objective);
            using var run = op.BeginRun();
            var v = Vector(op);
            Tensor first = op.Apply(v),
                second = op.Apply(v);
            Assert.Equal(objective == function, first.equal(second).all().ToBoolean());
            Assert.Contains(reason, op.Fallback);
            Assert.Equal(0, op.KeptBatches);
        }
        Assert.Equal(2, calls);
    }

    [Fact]
    public void Runs_of_compositions_and_runs_within_runs_are_runs()
    {
        var objective = CurvatureCases.Make("mlp").Objective();
        Hessian h = new(objective),
            inner = new(objective);
        var g = new GaussNewton(objective);
        var blocks = new BlockDiagonal(h);
        var sum = (2 * blocks + g).Damped(0.1);
        var v = Vector(h);
        Tensor expected = sum.Apply(v),
            whole = h.Apply(v);
        using (sum.BeginRun())
        {
            using (h.BeginRun())
                Same(expected, sum.Apply(v));
            Assert.True(h.KeptBatches > 0 && g.KeptBatches > 0);
            Same(whole, h.Apply(v)); // of one block
            Same(expected, sum.Apply(v));
        }
        Assert.Equal(0, h.KeptBatches + g.KeptBatches);
        inner.ToDense();
        Assert.Equal(0, inner.KeptBatches);
    }

    [Theory, InlineData("mlp"), InlineData("convolutions")]
    public void A_run_leaves_no_tensor_behind(string name)
    {
        var objective = CurvatureCases.Make(name).Objective();
        void Measure()
        {
            foreach (var op in Operators(objective))
            {
                using var inner = NewDisposeScope();
                using var run = op.BeginRun();
                for (int i = 0; i < 2; i++)
                    op.Apply(Vector(op));
            }
        }
        Measure();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Measure();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void A_failure_in_a_run_is_thrown_and_the_run_goes_on()
    {
        var c = CurvatureCases.Make("mlp");
        bool fails = false;
        IEnumerable<(Tensor, Tensor)> Data()
        {
            yield return c.Batches[0];
            if (fails)
                throw new InvalidDataException("no more");
            yield return c.Batches[1];
        }
        var op = new Hessian(new(c.Model, c.Likelihood, Data()));
        var v = Vector(op);
        var expected = op.Apply(v);
        using var run = op.BeginRun();
        fails = true;
        Assert.Throws<InvalidDataException>(() => op.Apply(v));
        fails = false;
        Same(expected, op.Apply(v));
        Same(expected, op.Apply(v));
    }
}
