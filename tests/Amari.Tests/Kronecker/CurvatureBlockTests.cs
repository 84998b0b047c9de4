using Amari.Curvature;
using Amari.Kronecker;
using Amari.Tests.KfacOptimizer;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>What blocks of all kinds have in common.</summary>
public sealed class CurvatureBlockTests() : KfacTest(6)
{
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

    /// <summary>Four rows for each dimension of the larger factor, times the share of the next measurement in the running average; at
    /// least 16 examples.</summary>
    [Fact]
    public void Later_measurements_take_fewer_examples()
    {
        var block = new LinearBlock("a", nn.Linear(60, 30), hasBias: true);
        Tensor x = randn(32, 60),
            g = randn(32, 30),
            sequences = randn(32, 8, 30);
        foreach (long needed in (long[])[240, 120, 80, 60, 48, 40, 35, 30, 27, 24, 24, 24])
        {
            Assert.Equal(needed, block.ExamplesFor(g, WeightSharing.Expand, 0.9));
            Assert.Equal(needed, block.ExamplesFor(sequences, WeightSharing.Reduce, 0.9));
            Assert.Equal(Math.Max(16, (needed + 7) / 8), block.ExamplesFor(sequences, WeightSharing.Expand, 0.9));
            block.Accumulate(block.Measure(x, g, new(First: true, PerExample: true, WeightSharing.Expand, Corrected: false)));
            Assert.True(block.UpdateRunningAverage(1, 0.9));
        }
        Assert.Equal(240, block.ExamplesFor(g, WeightSharing.Expand, 0));
        block.Dispose();
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
        HashSet<Type> kinds = [typeof(DescribedBlock)]; // a layer of one's own: NativeAttentionTests
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

        Assert.Equal(
            typeof(CurvatureBlock).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(CurvatureBlock)) && !t.IsAbstract).ToHashSet(),
            kinds
        );

        void Passes(nn.Module<Tensor, Tensor> model, Tensor x, int classes)
        {
            using (var optimizer = new Kfac(model, Plain, new Categorical()))
                kinds.UnionWith(optimizer.Estimate.Blocks.Select(b => b.GetType()));
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
