using Amari.Jets;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Tests.Jets;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.LeastSquares;

/// <summary>The Poisson problem Δu = f with a boundary, as a model.</summary>
public sealed class PdeModelTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public PdeModelTests() => manual_seed(5);

    public void Dispose() => _scope.Dispose();

    internal static Tensor Solution(Tensor x) => (Math.PI * x).sin().prod(1, keepdim: true);

    internal static PdeModel Poisson(double weight = 3, int hidden = 8) =>
        new(
            new(nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1)).to(F64)),
            new ResidualTerm("interior", JetSpec.Laplacian(2), (u, x) => u.Laplacian + 2 * Math.PI * Math.PI * Solution(x)),
            new ResidualTerm("boundary", JetSpec.Value(2), (u, x) => u.Value.squeeze(1)) { Weight = weight }
        );

    /// <summary>Points inside of the unit square, and on its lower and left edges.</summary>
    internal static (Tensor Interior, Tensor Boundary) Points(long interior = 20, long boundary = 8)
    {
        var edge = rand(boundary, 2, dtype: F64);
        edge.select(1, 0).narrow(0, 0, boundary / 2).zero_();
        edge.select(1, 1).narrow(0, boundary / 2, boundary - (boundary / 2)).zero_();
        return (rand(interior, 2, dtype: F64), edge);
    }

    private static Tensor Expected(PdeModel model, Tensor interior, Tensor boundary, double weight)
    {
        var stack = NestedJet.Stack(model.Solution.Module.call, interior, JetSpec.Laplacian(2));
        return cat([stack[3] + 2 * Math.PI * Math.PI * Solution(interior), Math.Sqrt(weight) * model.Solution.Module.call(boundary)]);
    }

    [Fact]
    public void Outputs_are_the_weighted_residuals_of_nested_autograd()
    {
        var (model, (interior, boundary)) = (Poisson(), Points());
        var rows = model.Rows(interior, boundary);
        Assert.Equal([28, 3], rows.shape);
        Near(model.call(rows), Expected(model, interior, boundary, 3), 1e-12);
    }

    [Fact]
    public void Gradient_of_the_loss_equals_nested_autograd()
    {
        var (model, (interior, boundary)) = (Poisson(), Points());
        var rows = model.Rows(interior, boundary);
        Tensor[] w = [.. model.parameters()];
        Assert.Equal(4, w.Length);
        var actual = ReverseMode.Derivative([new SquaredError().Loss(model.call(rows), zeros(28, 1, dtype: F64))], w);
        var expected = ReverseMode.Derivative([Expected(model, interior, boundary, 3).square().mean() / 2], w);
        foreach (var (a, e) in actual.Zip(expected))
            Near(a!, e!, 1e-12);
    }

    [Fact]
    public void Rows_in_any_order_give_their_own_residuals()
    {
        var (model, (interior, boundary)) = (Poisson(), Points());
        var rows = model.Rows(interior, boundary);
        var order = randperm(28, dtype: ScalarType.Int64);
        Near(model.call(rows.index_select(0, order)), model.call(rows).index_select(0, order), 1e-14);
        Near(model.call(rows.narrow(0, 20, 8)), model.call(rows).narrow(0, 20, 8), 1e-14);
        Assert.Equal([0, 1], model.call(rows.narrow(0, 0, 0)).shape);
    }

    [Fact]
    public void Weight_is_the_factor_of_squares()
    {
        var (interior, boundary) = Points();
        manual_seed(1);
        var light = Poisson(1);
        manual_seed(1);
        var heavy = Poisson(4);
        var rows = light.Rows(interior, boundary);
        Near(heavy.call(rows).narrow(0, 20, 8).square(), 4 * light.call(rows).narrow(0, 20, 8).square(), 1e-13);
        Near(heavy.call(rows).narrow(0, 0, 20), light.call(rows).narrow(0, 0, 20), 0);
    }

    [Fact]
    public void State_and_parameters_are_those_of_the_network()
    {
        var model = Poisson();
        Assert.Equal(
            ["network.0.bias", "network.0.weight", "network.2.bias", "network.2.weight"],
            model.state_dict().Keys.Order(StringComparer.Ordinal)
        );
        Near(model.Evaluate(Points().Interior), model.Solution.Module.call(Points().Interior.clone()).detach(), 10);
        var x = Points().Interior;
        Near(model.Evaluate(x), model.Solution.Module.call(x).detach(), 1e-15);
        Assert.False(model.Evaluate(x).requires_grad);
    }

    [Theory, InlineData("AdamW"), InlineData("L-BFGS")]
    public void Ordinary_optimizers_train_it(string name)
    {
        var (model, (interior, boundary)) = (Poisson(), Points());
        Tensor rows = model.Rows(interior, boundary),
            zero = zeros(28, 1, dtype: F64);
        SquaredError likelihood = new();
        double Loss() => likelihood.Loss(model.call(rows), zero).ToDouble();
        double start = Loss();
        if (name == "AdamW")
        {
            using var optimizer = new AdamW(model, new() { LearningRate = 0.02 });
            for (int i = 0; i < 100; i++)
            {
                using var scope = NewDisposeScope();
                optimizer.zero_grad();
                likelihood.Loss(model.call(rows), zero).backward();
                optimizer.step();
            }
        }
        else
        {
            using var optimizer = new Lbfgs(model, likelihood);
            for (int i = 0; i < 3; i++)
                optimizer.StepOnBatch(rows, zero);
        }
        Assert.InRange(Loss(), 0, start / 5);
    }

    [Fact]
    public void Bad_rows_and_residuals_are_refused_in_one_sentence()
    {
        var (model, (interior, boundary)) = (Poisson(), Points());
        var rows = model.Rows(interior, boundary);
        rows[4, 2] = tensor(2.0, dtype: F64);
        Assert.Contains(
            "Row 4 of the input has the term 2 in its last column; it must be an integer in [0, 2).",
            Refused(() => model.call(rows))
        );
        rows[4, 2] = tensor(0.5, dtype: F64);
        Assert.Contains("the term 0.5", Refused(() => model.call(rows)));
        rows[4, 2] = tensor(double.NaN, dtype: F64);
        Assert.Contains("the term NaN", Refused(() => model.call(rows)));
        Assert.Contains("[20, 2]; it must be [n, 3]", Refused(() => model.call(interior)));
        Assert.Contains("points of the term boundary are [5, 3]; they must be [n, 2]", Refused(() => model.Rows(interior, randn(5, 3))));
        Assert.Contains("1 sets of points for 2 terms", Refused(() => model.Rows(interior)));
        PdeModel broken = new(model.Solution, new ResidualTerm("short", JetSpec.Value(2), (u, _) => u.Value.narrow(0, 0, 3)));
        Assert.Contains(
            "The residual of the term short is [3, 1] at 20 points; it must be [20] or [20, 1].",
            Assert.Throws<InvalidOperationException>(() => broken.call(broken.Rows(interior))).Message
        );
        PdeModel scalar = new(model.Solution, new ResidualTerm("scalar", JetSpec.Value(2), (u, _) => u.Value.sum()));
        Assert.Contains(
            "The residual of the term scalar is [] at 1 point; it must be [1] or [1, 1].",
            Assert.Throws<InvalidOperationException>(() => scalar.call(scalar.Rows(interior.narrow(0, 0, 1)))).Message
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Terms[0] with { Weight = 0 });

        static string Refused(Action action) => Assert.Throws<ArgumentException>(action).Message;
    }

    [Fact]
    public void Evaluations_leave_nothing_but_their_result()
    {
        var (model, (interior, boundary)) = (Poisson(), Points());
        PdeResiduals residuals = new(model, model.Rows(interior, boundary));
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 10; i++)
        {
            model.Evaluate(interior).Dispose();
            residuals.Values().Dispose();
        }
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Passes_leave_no_tensors()
    {
        var (model, (interior, boundary)) = (Poisson(), Points());
        var rows = model.Rows(interior, boundary);
        var mixed = rows.index_select(0, randperm(28, dtype: ScalarType.Int64));
        long live = 0;
        for (int i = 0; i < 20; i++)
        {
            using (var scope = NewDisposeScope())
            {
                model.call(rows).square().mean().backward();
                model.call(mixed).square().mean().backward();
                model.Evaluate(interior);
            }
            if (i == 4)
                live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        }
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
