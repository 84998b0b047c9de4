using Amari.Jets;
using Amari.LeastSquares;
using Amari.Tests.Jets;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.LeastSquares;

/// <summary>Jacobians of physics-informed residuals by captured layers against nested autograd, row by row.</summary>
public sealed class PdeResidualsJacobianTests : IDisposable
{
    private const double Exact = 1e-12,
        Weight = 3;

    private readonly DisposeScope _scope = NewDisposeScope();

    public PdeResidualsJacobianTests() => manual_seed(8);

    public void Dispose() => _scope.Dispose();

    private static nn.Module<Tensor, Tensor> Network(string name)
    {
        var net = name switch
        {
            "shallow" => nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 1)),
            "residual" => nn.Sequential(
                nn.Linear(2, 6),
                nn.Tanh(),
                new Residual(nn.Sequential(nn.Linear(6, 6), nn.Tanh())),
                nn.Linear(6, 1)
            ),
            _ => nn.Sequential(nn.Linear(2, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 1)),
        };
        if (name == "frozen")
            foreach (var p in net.parameters().Take(2).Skip(1))
                p.requires_grad = false;
        if (name == "frozen weights")
            foreach (var (_, p) in net.named_parameters().Where(p => p.name is "0.weight" or "4.weight"))
                p.requires_grad = false;
        return net.to(F64);
    }

    private static PdeModel Model(string name) =>
        new(
            new(Network(name)),
            new ResidualTerm("mixed", JetSpec.Hessian(2), (u, x) => u.D(0, 0) + u.D(0, 1) * u.Value + x.narrow(1, 0, 1)),
            new ResidualTerm("first", JetSpec.Gradient(2), (u, _) => u.D(0) * u.D(1) - u.Value),
            new ResidualTerm("value", JetSpec.Value(2), (u, _) => u.Value.squeeze(1)) { Weight = Weight }
        );

    /// <summary>Residuals by derivatives of derivatives with respect to the points, with a graph.</summary>
    private static Tensor Nested(PdeModel model, Tensor rows)
    {
        var points = rows.narrow(1, 0, 2);
        var all = NestedJet.Stack(model.Solution.Module.call, points, JetSpec.Hessian(2)).squeeze(2);
        Tensor u = all[0],
            x = all[1],
            y = all[2];
        var spec = JetSpec.Hessian(2);
        Tensor xx = all[spec.IndexOf(0, 0)],
            xy = all[spec.IndexOf(0, 1)];
        var term = rows.select(1, 2);
        return where(term == 0, xx + (xy * u) + points.select(1, 0), where(term == 1, (x * y) - u, Math.Sqrt(Weight) * u))
            / Math.Sqrt(rows.shape[0]);
    }

    private static Tensor Rows(PdeModel model, bool shuffled)
    {
        var rows = model.Rows(randn(6, 2, dtype: F64), randn(4, 2, dtype: F64), randn(3, 2, dtype: F64));
        return shuffled ? rows.index_select(0, randperm(13, dtype: ScalarType.Int64)) : rows;
    }

    [
        Theory,
        InlineData("shallow", false),
        InlineData("deep", false),
        InlineData("deep", true),
        InlineData("residual", true),
        InlineData("frozen", true),
        InlineData("frozen weights", false),
        InlineData("frozen weights", true)
    ]
    public void Everything_is_that_of_nested_autograd(string name, bool shuffled)
    {
        var model = Model(name);
        var rows = Rows(model, shuffled);
        Parameter[] w = [.. model.parameters().Where(p => p.requires_grad)];
        var j = stack(
            Enumerable
                .Range(0, 13)
                .Select(n =>
                {
                    model.zero_grad();
                    Nested(model, rows)[n].backward();
                    return cat([.. w.Select(p => p.grad?.reshape(-1) ?? zeros(p.numel(), dtype: F64))]).clone();
                })
                .ToList()
        );
        var r = Nested(model, rows).detach();
        PdeResiduals residuals = new(model, rows);
        using var linear = residuals.Linearize();
        Assert.Null(linear.Fallback);
        Near(linear.R, r, Exact);
        Near(linear.Jacobian(), j, Exact);
        Tensor v = randn(j.shape[1], dtype: F64),
            u = randn(13, dtype: F64);
        Near(linear.Apply(v), j.mv(v), Exact);
        Near(linear.ApplyTransposed(u), j.t().mv(u), Exact);
        Near(linear.Normal.ToDense(), j.t().mm(j), Exact);
        Near(linear.Gram.ToDense(), j.mm(j.t()), Exact);
    }

    [Fact]
    public void Ansatz_and_a_constant_term_have_their_rows()
    {
        var network = Network("shallow");
        PdeModel model = new(
            new(network) { Ansatz = (x, u) => x[0] * u },
            new ResidualTerm("first", JetSpec.Laplacian(2), (u, _) => u.Laplacian),
            new ResidualTerm("constant", JetSpec.Value(2), (_, x) => x.narrow(1, 0, 1) * 1)
        );
        var rows = model.Rows(randn(4, 2, dtype: F64), randn(2, 2, dtype: F64));
        using var linear = new PdeResiduals(model, rows).Linearize();
        Assert.Null(linear.Fallback);
        var j = linear.Jacobian();
        Assert.Equal(0, j.narrow(0, 4, 2).abs().sum().ToDouble());
        var v = randn(linear.Columns, dtype: F64) * 1e-5;
        var layout = Amari.Curvature.ParameterLayout.Of(model);
        layout.Add(v);
        var after = new PdeResiduals(model, rows).Values();
        layout.Add(v, -2);
        var before = new PdeResiduals(model, rows).Values();
        Near(j.mv(v), (after - before) / 2, 1e-9);
        Near(linear.Gram.ToDense(), j.mm(j.t()), Exact);
    }

    [Fact]
    public void Many_residuals_are_linearized_within_stated_memory()
    {
        PdeModel model = new(
            new(nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)).to(F64)),
            new ResidualTerm("interior", JetSpec.Laplacian(2), (u, _) => u.Laplacian)
        );
        using var linear = new PdeResiduals(model, model.Rows(randn(500, 2, dtype: F64))).Linearize();
        long components = 4,
            perRow = (components * (64 + 64)) + (2 * 64) + (components * (64 + 1)) + 64 + 64 + 64 + 1;
        Assert.InRange(linear.HeldBytes, 0, 500 * perRow * sizeof(double));
        Assert.True(linear.HeldBytes < linear.JacobianBytes / 4);
        Assert.Equal(500 * linear.Columns * sizeof(double), linear.JacobianBytes);
        Assert.True(linear.GramBytes >= 500 * 500 * sizeof(double));
        Assert.True(linear.NormalBytes >= linear.Columns * linear.Columns * sizeof(double));
    }

    [Fact]
    public void No_tensor_is_left_behind()
    {
        var model = Model("deep");
        PdeResiduals residuals = new(model, Rows(model, shuffled: true));
        residuals.Linearize().Dispose();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 10; i++)
        {
            using var linear = residuals.Linearize();
            linear.Gram.ToDense().Dispose();
            linear.Normal.ToDense().Dispose();
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
