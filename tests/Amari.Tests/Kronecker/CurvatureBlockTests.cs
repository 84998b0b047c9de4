using Amari.Curvature;
using Amari.Tests.KfacOptimizer;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>The blocks of embeddings against a dense float64 Fisher made from Jacobians, and what blocks of all kinds do
/// together.</summary>
public sealed class CurvatureBlockTests() : KfacTest(6)
{
    /// <summary>With squared loss and linear layers the output gradients do not depend on the input: A ⊗ G is the Fisher.</summary>
    [Fact]
    public void Embedding_of_a_linear_network_has_the_exact_block()
    {
        var model = nn.Sequential(("e", nn.Embedding(5, 3)), ("l", nn.Linear(3, 2)));
        var x = tensor(new long[] { 0, 3, 3, 1, 0, 3 });
        var y = randn(6, 2);
        var embedding = (Embedding)model[0];
        var dense = Dense.Fisher(model, x, [embedding.weight!], f => eye(2));
        var objective = new Objective(model, new Gaussian(), [(x, y)], ParameterLayout.Of(model, n => n == "e.weight"));
        foreach (bool corrected in (bool[])[false, true])
        {
            using var factored = new KroneckerFactored(objective, corrected: corrected);
            Assert.InRange(Dense.RelativeError(factored.ToDense(), dense), 0, 1e-12);
            foreach (var method in Enum.GetValues<DampingMethod>().Where(m => corrected || m != DampingMethod.Ekfac))
            {
                using var inverse = factored.Inverse(0.1, method);
                var damped = dense + 0.1 * eye(15);
                if (method == DampingMethod.FactoredTikhonov)
                {
                    var (_, a, g) = factored.Factors.Single();
                    double pi = Math.Sqrt(a.mean().ToDouble() / (g.trace().ToDouble() / 3)),
                        root = Math.Sqrt(0.1);
                    damped = kron((a + pi * root).diag(), g + root / pi * eye(3)); // the table's rows come first
                }
                Assert.InRange(Dense.RelativeError(inverse.ToDense(), linalg.inv(damped)), 0, 1e-10);
            }
        }
        var (state, steps) = Step(model, new Gaussian(), x, y);
        Assert.InRange(Dense.RelativeError(state["e.A"], tensor([2, 1, 0, 3, 0.0]) / 6), 0, 1e-12);
        var expected = -linalg.solve(dense + Plain.Damping * eye(15), steps["e.weight"].Gradient.flatten());
        Assert.InRange(Dense.RelativeError(steps["e.weight"].Change.flatten(), expected), 0, 1e-10);
    }

    [Fact]
    public void Operator_of_all_kinds_is_symmetric_and_its_inverse_inverts_it()
    {
        var model = nn.Sequential(
            ("c", nn.Conv1d(2, 4, 2)),
            ("g", GroupNorm(2, 4)),
            ("u", nn.ConvTranspose1d(4, 2, 2, groups: 2)),
            ("n", nn.LayerNorm(5)),
            ("f", nn.Flatten()),
            ("l", nn.Linear(10, 3))
        );
        var objective = new Objective(model, new Categorical(), [(randn(4, 2, 5), randint(0, 3, [4]))]);
        foreach (bool corrected in (bool[])[false, true])
        {
            using var factored = new KroneckerFactored(objective, corrected: corrected);
            Assert.All(factored.Coverage.Rows, r => Assert.NotEqual("none", r.Block));
            var dense = factored.ToDense();
            Assert.InRange(Dense.RelativeError(dense, dense.T), 0, 1e-12);
            using var inverse = factored.Inverse(0.05, corrected ? DampingMethod.Ekfac : DampingMethod.Eigenbasis);
            Assert.InRange(Dense.RelativeError(inverse.ToDense(), linalg.inv(dense + 0.05 * eye(dense.shape[0]))), 0, 1e-9);
        }
    }

    [Fact]
    public void Diagonal_and_unit_wise_state_resumes_bit_for_bit()
    {
        static Sequential Model() =>
            nn.Sequential(("e", nn.Embedding(7, 4)), ("n", nn.LayerNorm(4)), ("f", nn.Flatten()), ("l", nn.Linear(8, 3)));
        var (ids, labels) = (randint(0, 7, [12, 5, 2]), randint(0, 3, [12, 5]));
        foreach (var method in Enum.GetValues<DampingMethod>())
        {
            var options = Plain with
            {
                Step = (AutoStep)Plain.Step with { Momentum = 0.9 },
                Curvature = Plain.Curvature with
                {
                    Inverse = InverseOptions.Of(method),
                    Refresh = Plain.Curvature.Refresh with { InverseInterval = 5, FactorInterval = 2 },
                },
            };
            var (whole, second) = (Model(), Model());
            using var straight = new Kfac(whole, options, new Categorical());
            using var resumed = new Kfac(second, new(), new Categorical());
            for (int i = 0; i < 12; i++)
            {
                if (i == 7)
                {
                    using (no_grad())
                        foreach (var (p, q) in second.parameters().Zip(whole.parameters()))
                            p.copy_(q);
                    resumed.Restore(straight.Snapshot());
                }
                Train(whole, straight, i);
                if (i >= 7)
                    Train(second, resumed, i);
            }
            Assert.Equal(Optimizers.Problem.Values(whole.parameters()), Optimizers.Problem.Values(second.parameters()));
            using var other = new Kfac(
                nn.Sequential(("e", nn.Embedding(7, 4)), ("n", nn.LayerNorm([2, 4])), ("f", nn.Flatten()), ("l", nn.Linear(8, 3))),
                new(),
                new Categorical()
            );
            Assert.Throws<InvalidDataException>(() => other.Restore(straight.Snapshot()));
        }

        void Train(Sequential model, Kfac optimizer, int i)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(ids[i]), labels[i]).backward();
            optimizer.step();
        }
    }

    private sealed class Pooled : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> a,
            b;
        private readonly bool _channelsSecond;

        public Pooled(nn.Module<Tensor, Tensor> a, nn.Module<Tensor, Tensor> b, bool channelsSecond = true)
            : base("pooled")
        {
            (this.a, this.b, _channelsSecond) = (a, b, channelsSecond);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var y = b.call(a.call(x));
            return _channelsSecond ? y.flatten(2).mean([2]) : y.mean([1]);
        }
    }

    /// <summary>Eschenhagen et al. 2023, propositions 1 and 2: in deep linear networks of squared loss, expand is exact where each position
    /// has its term, reduce where positions are averaged.</summary>
    [Fact]
    public void Sharing_is_exact_in_its_own_setting_and_not_in_the_other()
    {
        var positions = nn.Sequential(("a", nn.Linear(4, 3)), ("b", nn.Linear(3, 2)));
        Assert.InRange(Error(positions, randn(5, 3, 4), randn(5, 3, 2), WeightSharing.Expand), 0, 1e-12);
        Assert.InRange(Error(positions, randn(5, 3, 4), randn(5, 3, 2), WeightSharing.Reduce), 0.05, 10);
        var pooled = new Pooled(nn.Linear(4, 3), nn.Linear(3, 2), channelsSecond: false);
        Assert.InRange(Error(pooled, randn(5, 3, 4), randn(5, 2), WeightSharing.Reduce), 0, 1e-12);
        Assert.InRange(Error(pooled, randn(5, 3, 4), randn(5, 2), WeightSharing.Expand), 0.05, 10);
        foreach (
            var (convolutional, x) in new (Pooled, Tensor)[]
            {
                (new(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 2)), randn(4, 2, 3, 3)),
                (new(nn.Conv1d(2, 3, 1), nn.ConvTranspose1d(3, 2, 2, stride: 2)), randn(4, 2, 5)),
            }
        )
            // a position of the last layer is like any other
            Assert.InRange(Error(convolutional, x, randn(4, 2), WeightSharing.Reduce, n => n.StartsWith('b')), 0, 1e-12);

        static double Error(nn.Module<Tensor, Tensor> model, Tensor x, Tensor y, WeightSharing sharing, Func<string, bool>? filter = null)
        {
            var objective = new Objective(model, new Gaussian(), [(x, y)], ParameterLayout.Of(model, filter));
            using var factored = new KroneckerFactored(objective, sharing: sharing);
            return Dense.RelativeError(factored.ToDense(), new BlockDiagonal(new Fisher(objective)).ToDense());
        }
    }

    [Fact]
    public void Verifier_passes_all_kinds_and_ties()
    {
        set_default_dtype(ScalarType.Float32);
        var conv = nn.Sequential(
            ("c", nn.Conv1d(2, 4, 2, stride: 2, groups: 2)),
            ("g", GroupNorm(2, 4)),
            ("t", nn.Tanh()),
            ("u", nn.ConvTranspose1d(4, 2, 2, stride: 2, groups: 2)),
            ("b", nn.BatchNorm1d(2)),
            ("n", nn.LayerNorm([2, 6])),
            ("f", nn.Flatten()),
            ("l", nn.Linear(12, 3))
        );
        Passes(conv, randn(5, 2, 6), 3);
        Passes(
            nn.Sequential(
                ("c", nn.Conv3d(1, 2, 2)),
                ("t", nn.Tanh()),
                ("u", nn.ConvTranspose3d(2, 1, 2)),
                ("f", nn.Flatten()),
                ("l", nn.Linear(27, 3))
            ),
            randn([4, 1, 3, 3, 3]),
            3
        );
        Passes(
            nn.Sequential(("e", nn.Embedding(7, 4)), ("f", nn.Flatten()), ("n", nn.LayerNorm(8)), ("l", nn.Linear(8, 3))),
            randint(0, 7, [5, 2]),
            3
        );
        Passes(new CurvatureBlockTieTests.Twins(bias: true), randn(5, 4), 4);
        Passes(new CurvatureBlockTieTests.Twins(bias: false), randn(5, 4), 4);

        static void Passes(nn.Module<Tensor, Tensor> model, Tensor x, int classes)
        {
            var report = Amari.Verification.Verifier.Verify(
                model,
                new Categorical(),
                x,
                randint(0, classes, [x.shape[0]], dtype: ScalarType.Int64)
            );
            Assert.True(report.Checks.All(c => c.Outcome == Amari.Verification.CheckOutcome.Passed), report.ToString());
        }
    }
}
