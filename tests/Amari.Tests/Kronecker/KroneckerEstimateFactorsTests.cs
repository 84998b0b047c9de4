using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;
using Amari.Tests.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>What an estimate by itself measures, and its solutions, against factors made by hand and dense solves.</summary>
public sealed class KroneckerEstimateFactorsTests : KroneckerEstimateTest
{
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
}
