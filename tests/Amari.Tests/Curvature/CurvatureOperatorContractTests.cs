using Amari.Curvature;
using Amari.Likelihoods;
using Amari.Solvers;

namespace Amari.Tests.Curvature;

/// <summary>What every curvature operator promises besides its numbers.</summary>
public sealed class CurvatureOperatorContractTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static LinearOperator[] Operators(Objective objective) =>
        [
            new Hessian(objective),
            new GaussNewton(objective),
            new Fisher(objective),
            new Fisher(objective, FisherKind.Empirical),
            new Fisher(objective, FisherKind.MonteCarlo, samples: 2),
            new BlockDiagonal(new Hessian(objective)),
            new BlockDiagonal(new Fisher(objective, FisherKind.MonteCarlo)),
        ];

    /// <summary>Those with an operator: forward-only is a kind of K-FAC's factors.</summary>
    private static readonly FisherKind[] FisherKinds = [.. Enum.GetValues<FisherKind>().Where(k => k != FisherKind.ForwardOnly)];

    /// <summary>K-FAC's factors and their inverse are operators with tests of their own.</summary>
    [Fact]
    public void Every_operator_of_a_model_is_among_them()
    {
        var c = CurvatureCases.Make("mlp");
        Assert.Equal(
            typeof(CurvatureOperator)
                .Assembly.GetExportedTypes()
                .Where(t => t.Namespace == typeof(CurvatureOperator).Namespace && t.IsSubclassOf(typeof(LinearOperator)) && !t.IsAbstract)
                .Except([typeof(KroneckerFactored), typeof(KroneckerFactoredInverse)])
                .ToHashSet(),
            Operators(c.Objective()).Select(o => o.GetType()).ToHashSet()
        );
    }

    private static IEnumerable<(Tensor, Tensor)> Counted(IEnumerable<(Tensor, Tensor)> batches, Action walked)
    {
        walked();
        foreach (var b in batches)
            yield return b;
    }

    private sealed class Of(Parameter w, Func<Parameter, Tensor, Tensor> function) : nn.Module<Tensor, Tensor>("of")
    {
        public Of Registered()
        {
            register_parameter("w", w);
            return this;
        }

        public override Tensor forward(Tensor x) => function(w, x);
    }

    [Theory, InlineData("detached"), InlineData("constant"), InlineData("no_grad"), InlineData("other")]
    public void An_output_that_does_not_depend_on_the_parameters_is_refused(string fault)
    {
        var other = nn.Parameter(randn(4, 3));
        Tensor Under(Parameter w, Tensor x)
        {
            using var off = no_grad();
            return x.matmul(w);
        }
        var model = new Of(
            nn.Parameter(randn(4, 3)),
            (w, x) =>
                fault switch
                {
                    "detached" => x.matmul(w).detach(),
                    "constant" => zeros(x.shape[0], 3),
                    "no_grad" => Under(w, x),
                    _ => x.matmul(other),
                }
        ).Registered();
        var objective = new Objective(model, new Categorical(), [(randn(8, 4), randint(0, 3, [8]))]);
        void Refused(Action action) =>
            Assert.StartsWith(
                "The loss does not depend on the parameters",
                Assert.Throws<InvalidOperationException>(action).Message,
                StringComparison.Ordinal
            );
        Refused(() => objective.Gradient());
        foreach (var op in Operators(objective))
            Refused(() => op.Apply(randn(op.Dimension)));
    }

    [Fact]
    public void A_model_that_returns_null_is_refused()
    {
        var objective = new Objective(
            new Of(nn.Parameter(randn(4, 3)), (_, _) => null!).Registered(),
            new Categorical(),
            [(randn(8, 4), randint(0, 3, [8]))]
        );
        Assert.Equal(
            "The model of returned null: its forward must return a tensor.",
            Assert.Throws<InvalidOperationException>(() => objective.Gradient()).Message
        );
    }

    [Fact]
    public void Batches_and_blocks_may_leave_parameters_out()
    {
        var (w, rest) = (nn.Parameter(randn(4, 3)), zeros(8, 3));
        int calls = 0;
        var model = new Of(w, (w, x) => calls++ % 2 == 0 ? rest : x.matmul(w)).Registered();
        var y = randint(0, 3, [8]);
        Assert.True(
            new Objective(model, new Categorical(), [(randn(8, 4), y), (randn(8, 4), y)]).Gradient().Gradient.norm().ToDouble() > 0
        );
        var unused = nn.Parameter(randn(2));
        var linear = new Objective(() => w.sum(), new([("w", w), ("unused", unused)]));
        Assert.Equal(0, new BlockDiagonal(new Hessian(linear)).Apply(randn(14)).norm().ToDouble());
    }

    [Fact]
    public void Complex_parameters_are_refused()
    {
        var w = nn.Parameter(complex(randn(2, 3), randn(2, 3)));
        var error = Assert.Throws<ArgumentException>(() => new ParameterLayout([("w", w)]));
        Assert.Contains(
            "The parameter 'w' is ComplexFloat32; optimizers take real floating-point numbers, complex ones as pairs.",
            error.Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_product_walks_the_data_once_and_repeats_bit_for_bit()
    {
        var c = CurvatureCases.Make("norms and dropout");
        int walks = 0;
        var objective = new Objective(c.Model, c.Likelihood, Counted(c.Batches, () => walks++));
        foreach (var op in Operators(objective))
        foreach (long k in (long[])[1, 5])
        {
            var v = randn(op.Dimension, k, dtype: ScalarType.Float64);
            walks = 0;
            var first = op.Apply(v);
            Assert.Equal(1, walks);
            manual_seed(99);
            Assert.True(first.equal(op.Apply(v)).all().ToBoolean());
            Assert.True(first.is_contiguous());
        }
        foreach (var kind in FisherKinds)
        {
            walks = 0;
            using var factored = new KroneckerFactored(objective, kind, samples: 2, seed: 3);
            Assert.Equal(1, walks);
            using var again = new KroneckerFactored(objective, kind, samples: 2, seed: 3);
            Assert.True(factored.ToDense().equal(again.ToDense()).all().ToBoolean());
        }
    }

    [Theory, InlineData("mlp"), InlineData("convolutions")]
    public void Memory_does_not_grow_with_products_or_batches(string name)
    {
        var c = CurvatureCases.Make(name);
        long Peak(int batches)
        {
            long most = 0,
                before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
            IEnumerable<(Tensor, Tensor)> Data()
            {
                for (int i = 0; i < batches; i++)
                {
                    most = Math.Max(most, DisposeScopeManager.Statistics.ThreadTotalLiveCount - before);
                    yield return (c.Batches[0].X.clone(), c.Batches[0].Y); // made by the walk, and left to it
                }
            }
            var objective = new Objective(c.Model, c.Likelihood, Data());
            var layout = objective.Parameters;
            var v = ones(layout.Dimension, 2, dtype: ScalarType.Float64);
            foreach (var op in Operators(objective))
                using (op.Apply(v)) { }
            foreach (var kind in FisherKinds)
                using (new KroneckerFactored(objective, kind)) { }
            v.Dispose();
            Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
            return most;
        }
        Peak(2);
        Assert.Equal(Peak(3), Peak(30));
    }

    [Fact]
    public void A_tensor_that_the_walk_makes_once_serves_all_its_batches()
    {
        var c = CurvatureCases.Make("mlp");
        var (x, y) = c.Batches[0];
        IEnumerable<(Tensor, Tensor)> Data()
        {
            var inputs = x.clone();
            for (int i = 0; i < 3; i++)
                yield return (inputs, y);
        }
        var v = ones(c.Objective().Parameters.Dimension, dtype: ScalarType.Float64);
        var lazy = new Hessian(new(c.Model, c.Likelihood, Data())).Apply(v);
        Assert.True(lazy.allclose(new Hessian(new(c.Model, c.Likelihood, [(x, y)])).Apply(v)));
        Assert.False(x.IsInvalid);
    }

    [Fact]
    public void Model_is_left_as_it_was()
    {
        var c = CurvatureCases.Make("norms and dropout");
        c.Model.train();
        var children = ((nn.Module)c.Model).named_children().ToList();
        children[0].module.eval();
        var objective = c.Objective();
        var before = c.Model.state_dict().ToDictionary(p => p.Key, p => p.Value.clone());
        var v = ones(objective.Parameters.Dimension, dtype: ScalarType.Float64);
        foreach (var op in Operators(objective))
            op.Apply(v);
        foreach (var kind in FisherKinds)
            using (new KroneckerFactored(objective, kind)) { }
        Assert.True(c.Model.training);
        Assert.Equal(children.Select((m, i) => i != 0), children.Select(m => m.module.training));
        Assert.All(c.Model.state_dict(), p => Assert.True(p.Value.equal(before[p.Key]).all().ToBoolean()));
        Assert.All(c.Model.parameters(), p => Assert.Null(p.grad));
        Assert.True(is_grad_enabled());
    }

    [Fact]
    public void A_failure_in_the_data_leaves_model_and_KFAC_intact()
    {
        var c = CurvatureCases.Make("mlp");
        c.Model.train();
        using var kfac = new Kfac(c.Model, new() { LearningRate = 0.1 }, c.Likelihood);
        IEnumerable<(Tensor, Tensor)> Broken()
        {
            yield return c.Batches[0];
            throw new InvalidDataException("no more");
        }
        var objective = new Objective(c.Model, c.Likelihood, Broken());
        var v = ones(objective.Parameters.Dimension, dtype: ScalarType.Float64);
        foreach (var op in Operators(objective))
            Assert.Throws<InvalidDataException>(() => op.Apply(v));
        Assert.Throws<InvalidDataException>(() => new KroneckerFactored(objective));
        Assert.True(c.Model.training);
        Assert.True(is_grad_enabled());
        c.Likelihood.Loss(c.Model.call(c.Batches[0].X), c.Batches[0].Y).backward();
        kfac.step();
        Assert.Contains("a.A", kfac.Snapshot().Tensors.Keys);
    }

    [Fact]
    public void Products_beside_K_FAC_change_nothing_in_it()
    {
        Tensor Train(bool measure)
        {
            var c = CurvatureCases.Make("mlp");
            using var kfac = new Kfac(c.Model, new() { LearningRate = 0.1 }, c.Likelihood);
            var objective = c.Objective();
            for (int i = 0; i < 3; i++)
            {
                kfac.zero_grad();
                var loss = c.Likelihood.Loss(c.Model.call(c.Batches[0].X), c.Batches[0].Y);
                if (measure)
                    Measure();
                loss.backward();
                if (measure)
                    Measure();
                kfac.step();
            }
            return objective.Parameters.Read();

            void Measure()
            {
                foreach (var op in Operators(objective))
                    op.Apply(objective.Parameters.Read());
                foreach (var kind in FisherKinds)
                    using (new KroneckerFactored(objective, kind)) { }
            }
        }
        Assert.True(Train(false).equal(Train(true)).all().ToBoolean());
    }

    [Fact]
    public void What_cannot_be_differentiated_is_one_sentence()
    {
        var c = CurvatureCases.Make("mlp");
        var objective = c.Objective();
        var hessian = new Hessian(objective);
        var v = ones(hessian.Dimension, dtype: ScalarType.Float64);
        Assert.Contains(
            "[47]",
            Assert.Throws<ArgumentException>(() => hessian.Apply(ones(47, dtype: ScalarType.Float64))).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => hessian.Apply(ones(hessian.Dimension, dtype: ScalarType.Float32)));
        ((Linear)c.Model.named_children().First().module).weight!.requires_grad = false;
        Assert.Contains("a.weight", Assert.Throws<InvalidOperationException>(() => hessian.Apply(v)).Message, StringComparison.Ordinal);
        ((Linear)c.Model.named_children().First().module).weight!.requires_grad = true;
        var empty = new Objective(c.Model, c.Likelihood, []);
        Assert.Contains(
            "no batch",
            Assert.Throws<InvalidOperationException>(() => new Hessian(empty).Apply(v)).Message,
            StringComparison.Ordinal
        );
        var w = nn.Parameter(ones(3));
        Assert.Contains(
            "scalar",
            Assert.Throws<ArgumentException>(() => new Hessian(new(() => w * 2, new ParameterLayout([("w", w)]))).Apply(ones(3))).Message,
            StringComparison.Ordinal
        );
        c.Model.to(ScalarType.Float32);
        Assert.Contains("module.to", Assert.Throws<InvalidOperationException>(() => hessian.Apply(v)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_loss_without_a_graph_is_refused()
    {
        var w = nn.Parameter(ones(3));
        var constant = tensor(2.0f);
        var layout = new ParameterLayout([("w", w)]);
        foreach (var loss in (Func<Tensor>[])[() => constant, () => w.sum().detach(), () => w.sum().to_type(ScalarType.Int64)])
            Assert.StartsWith(
                "The loss does not depend on the parameters",
                Assert.Throws<InvalidOperationException>(() => new Hessian(new(loss, layout)).ToDense()).Message,
                StringComparison.Ordinal
            );
        Assert.Equal(0, new Hessian(new(() => w.sum(), layout)).ToDense().abs().sum().ToDouble());
    }
}
