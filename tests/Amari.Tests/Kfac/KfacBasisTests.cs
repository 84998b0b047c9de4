using Amari.Curvature;
using Amari.Kronecker;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>How long the bases of a layer last when refreshes are due at every step: with corrected eigenvalues, until 30 % of the
/// factors' weight is of later batches.</summary>
public sealed class KfacBasisTests() : KfacTest(19)
{
    private const long Large = KroneckerBlock.LeastLasting - 1; // inputs, and the bias

    private static Kfac.Options With(InverseOptions inverse) =>
        Plain with
        {
            LearningRate = 0.01,
            Curvature = Plain.Curvature with
            {
                Inverse = inverse,
                FactorEma = 0.8,
                Refresh = Plain.Curvature.Refresh with { FactorInterval = 1, InverseInterval = 1 },
            },
        };

    private static nn.Module<Tensor, Tensor> Model(long inputs)
    {
        manual_seed(1);
        return nn.Sequential(("a", nn.Linear(inputs, 3)));
    }

    private static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, int step)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)step);
        var x = randn([300, model.parameters().First().shape[1]], generator: generator);
        var y = randint(0, 3, [300], generator: generator);
        optimizer.zero_grad();
        new Categorical().Loss(model.call(x), y).backward();
        optimizer.step();
    }

    private static Tensor State(Kfac optimizer, string name) => optimizer.Snapshot().Tensors[name].clone();

    private static bool Same(Tensor a, Tensor b) => a.equal(b).all().ToBoolean();

    /// <summary>What is left beside the diagonal of Q' F Q, relative to it.</summary>
    private static double Beside(Tensor q, Tensor f)
    {
        var inside = q.t().mm(f).mm(q);
        return ((inside - inside.diagonal().diag()).norm() / inside.norm()).ToDouble();
    }

    /// <summary>Means of k batches until k = 5, then a decay of 0.8, so that two updates leave a share of 0.64.</summary>
    [Fact]
    public void Bases_of_EKFAC_last_until_enough_of_the_weight_is_new()
    {
        var model = Model(Large);
        using var optimizer = new Kfac(model, With(new InverseOptions.EigenvalueCorrection()), new Categorical());
        Tensor? basis = null,
            eigenvalues = null;
        List<int> refreshed = [];
        for (int step = 1; step <= 7; step++)
        {
            Step(model, optimizer, step);
            Tensor next = State(optimizer, "a.Right"),
                values = State(optimizer, "a.Values");
            double beside = Beside(next, State(optimizer, "a.A"));
            if (basis is null || !Same(basis, next))
            {
                refreshed.Add(step);
                Assert.InRange(beside, 0, 1e-12);
                Assert.InRange(Beside(State(optimizer, "a.Left"), State(optimizer, "a.G")), 0, 1e-12);
            }
            else
                Assert.True(beside > 1e-6);
            Assert.False(eigenvalues is not null && Same(eigenvalues, values)); // they follow every batch
            (basis, eigenvalues) = (next, values);
        }
        Assert.Equal([1, 2, 3, 5, 7], refreshed);
    }

    [Theory, InlineData(Large - 1, true), InlineData(Large, false)]
    public void Small_layers_and_plain_eigenvalues_are_decomposed_at_every_refresh(long inputs, bool corrected)
    {
        var model = Model(inputs);
        var inverse = corrected ? (InverseOptions)new InverseOptions.EigenvalueCorrection() : new InverseOptions.Eigenbasis();
        using var optimizer = new Kfac(model, With(inverse), new Categorical());
        for (int step = 1; step <= 4; step++)
        {
            Step(model, optimizer, step);
            Assert.InRange(Beside(State(optimizer, "a.Right"), State(optimizer, "a.A")), 0, 1e-12);
        }
    }

    /// <summary>In the middle of a basis's life; and from a state of before, which has no shares.</summary>
    [Theory, InlineData(true, 6), InlineData(false, 5)]
    public void Resumed_run_refreshes_when_an_uninterrupted_one_does(bool hasShares, int saved)
    {
        var (whole, resumed) = (Model(Large), Model(Large));
        var options = With(new InverseOptions.EigenvalueCorrection());
        using Kfac straight = new(whole, options, new Categorical()),
            second = new(resumed, options, new Categorical());
        for (int step = 1; step <= saved; step++)
            Step(whole, straight, step);
        using (no_grad())
            foreach (var (p, q) in resumed.parameters().Zip(whole.parameters()))
                p.copy_(q);
        var (tensors, values) = straight.Snapshot();
        values = values.DeepClone().AsObject();
        if (!hasShares)
            values.Remove("refreshedShares");
        second.Restore(new(tensors.ToDictionary(t => t.Key, t => t.Value.clone()), values));
        for (int step = saved + 1; step <= saved + 4; step++)
        {
            Step(whole, straight, step);
            Step(resumed, second, step);
            Assert.Equal(hasShares, Same(State(straight, "a.Right"), State(second, "a.Right")));
        }
        Assert.Equal(
            hasShares,
            Optimizers.Problem.Values(whole.parameters()).SequenceEqual(Optimizers.Problem.Values(resumed.parameters()))
        );
    }

    [Fact]
    public void Failed_decomposition_is_tried_again_at_the_next_refresh()
    {
        var model = Model(Large);
        using var optimizer = new Kfac(model, With(new InverseOptions.EigenvalueCorrection()), new Categorical());
        for (int step = 1; step <= 3; step++)
            Step(model, optimizer, step);
        var (tensors, values) = optimizer.Snapshot();
        var bad = tensors.ToDictionary(t => t.Key, t => t.Value.clone());
        bad["a.A"][0, 0] = double.NaN;
        optimizer.Restore(new(bad, values.DeepClone().AsObject()));
        for (int step = 4; step <= 7; step++) // due at 5
            Step(model, optimizer, step);
        var failure = Assert.Single(optimizer.Events, e => e.Message.Contains("the factorisation of A failed", StringComparison.Ordinal));
        Assert.Contains("(3 times by now)", failure.Message, StringComparison.Ordinal);
        Assert.True(Same(bad["a.Right"], State(optimizer, "a.Right")));
    }

    /// <summary>Factors of all data need not be near those of before.</summary>
    [Fact]
    public void Measuring_all_data_decomposes_every_factor()
    {
        var model = Model(Large);
        using var estimate = new KroneckerEstimate(model, new Categorical(), With(new InverseOptions.EigenvalueCorrection()).Curvature);
        for (int i = 0; i < 2; i++)
        {
            estimate.Measure(new Objective(model, new Categorical(), [(randn(200, Large), randint(0, 3, [200]))]));
            var state = estimate.Snapshot().Tensors;
            Assert.InRange(Beside(state["a.Right"], state["a.A"]), 0, 1e-12);
        }
    }
}
