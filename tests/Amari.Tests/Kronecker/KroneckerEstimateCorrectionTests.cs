using Amari.Curvature;
using Amari.Tests.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The corrected eigenvalues of EKFAC against dense Fishers.</summary>
public sealed class KroneckerEstimateCorrectionTests() : KfacTest(6)
{
    [Fact]
    public void Corrected_eigenvalues_come_closer_to_the_dense_blocks()
    {
        foreach (string name in (string[])["mlp", "bernoulli", "weight sharing, pooled", "no bias", "rectified"])
        foreach (var kind in (FisherKind[])[FisherKind.Exact, FisherKind.Empirical])
        foreach (var sharing in Enum.GetValues<WeightSharing>())
        {
            var objective = CurvatureCases.Make(name).Objective();
            var dense = new BlockDiagonal(new Fisher(objective, kind)).ToDense();
            using var plain = new KroneckerFactored(objective, kind, sharing: sharing);
            using var corrected = new KroneckerFactored(objective, kind, sharing: sharing, corrected: true);
            double before = Dense.RelativeError(plain.ToDense(), dense),
                after = Dense.RelativeError(corrected.ToDense(), dense);
            Assert.True(after < before, $"{name}, {kind}, {sharing}: {after} against {before}");
            Assert.Equal(dense.trace().ToDouble(), corrected.ToDense().trace().ToDouble(), 1e-9 * dense.trace().ToDouble());
        }
    }

    /// <summary>Over a whole run on the same batch, with a fixed basis: the optimizer's S is the mean of squares of rotated
    /// gradients.</summary>
    [Fact]
    public void Optimizer_corrects_with_the_gradients_of_its_batches()
    {
        var model = nn.Sequential(("a", nn.Linear(3, 4)), ("t", nn.Tanh()), ("b", nn.Linear(4, 3)));
        var (x, y) = (randn(5, 3), randint(0, 3, [5]));
        using var optimizer = new Kfac(
            model,
            Plain with
            {
                LearningRate = 0,
                Curvature = Plain.Curvature with
                {
                    Inverse = new InverseOptions.EigenvalueCorrection(),
                    FactorEma = 0,
                    Refresh = Plain.Curvature.Refresh with { FactorInterval = 1, InverseInterval = 100 },
                },
            },
            new Categorical()
        );
        for (int i = 0; i < 2; i++)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(x), y).backward();
            optimizer.step();
        }
        var state = optimizer.Snapshot().Tensors;
        foreach (string layer in (string[])["a", "b"])
        {
            var linear = (Linear)model.named_children().First(c => c.name == layer).module;
            var dense = Dense.Fisher(model, x, [linear.weight!, linear.bias!], Dense.CategoricalFisher);
            var order = arange(dense.shape[0]); // rows of [W b]
            long o = linear.weight!.shape[0],
                n = linear.weight.shape[1];
            order = cat([order.narrow(0, 0, o * n).view(o, n), order.narrow(0, o * n, o).view(o, 1)], 1).flatten();
            dense = dense.index_select(0, order).index_select(1, order);
            var basis = kron(state[$"{layer}.Left"], state[$"{layer}.Right"]);
            Assert.InRange(Dense.RelativeError(state[$"{layer}.Values"].flatten(), basis.T.mm(dense).mm(basis).diag()), 0, 1e-10);
        }
    }

    [Fact]
    public void Conditions_of_diagonal_factors_and_corrected_eigenvalues()
    {
        var model = nn.Sequential(("e", nn.Embedding(3, 2)), ("n", nn.LayerNorm(2)), ("l", nn.Linear(2, 2)));
        using var optimizer = new Kfac(
            model,
            Plain with
            {
                LearningRate = 0,
                Curvature = Plain.Curvature with { Inverse = new InverseOptions.EigenvalueCorrection() },
            },
            new Categorical()
        );
        for (int i = 0; i < 2; i++)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(tensor(new long[] { 0, 1, 1, 1, 2, 2 })), randint(0, 2, [6])).backward();
            optimizer.step();
        }
        var conditions = optimizer.FactorConditions();
        Assert.Equal(["e", "l"], conditions.Select(c => c.Layer));
        Assert.Equal(3, conditions[0].A, 1e-10); // 3 uses of one row, 1 of another
        var s = optimizer.Snapshot().Tensors["l.Values"];
        Assert.Equal(((s.max() + Plain.Damping) / (s.min() + Plain.Damping)).ToDouble(), conditions[1].Damped, 1e-10);
    }
}
