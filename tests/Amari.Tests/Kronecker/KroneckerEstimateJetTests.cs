using Amari.Curvature;
using Amari.Jets;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Tests.Jets;
using Amari.Tests.LeastSquares;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Kronecker;

/// <summary>Factors over the components of jets against nested autograd, which knows nothing of components: a_c are derivatives of a
/// layer's input, δ_c the slopes of the residuals in values and derivatives that are added to its output.</summary>
public sealed class KroneckerEstimateJetTests : IDisposable
{
    private const long Interior = 6,
        Boundary = 4;

    private static readonly CurvatureOptions Now = new()
    {
        Inverse = new InverseOptions.Eigenbasis(),
        Refresh = new()
        {
            FactorInterval = 1,
            InverseInterval = 1,
            Warmup = null,
        },
    };

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Linear _a,
        _b;
    private readonly PdeModel _model;
    private readonly Tensor _interior,
        _boundary;

    public KroneckerEstimateJetTests()
    {
        manual_seed(9);
        (_a, _b) = ((Linear)nn.Linear(2, 3).to(F64), (Linear)nn.Linear(3, 1).to(F64));
        _model = new(
            new(nn.Sequential(_a, nn.Tanh(), _b)),
            new ResidualTerm("interior", JetSpec.Laplacian(2), (u, x) => u.Laplacian * u.Value + u.D(0)),
            new ResidualTerm("boundary", JetSpec.Value(2), (u, _) => u.Value - 1) { Weight = 2 }
        );
        (_interior, _boundary) = (randn(Interior, 2, dtype: F64), randn(Boundary, 2, dtype: F64));
    }

    public void Dispose() => _scope.Dispose();

    /// <summary>u with p added to the output of a layer at each point: p₀ + p₁ t₀ + p₂ t₁ + p₃ ‖t‖² / 4 for t = x - the point, whose
    /// value, first derivatives and Laplacian there are p.</summary>
    private Tensor Perturbed(int layer, Tensor x, Tensor p)
    {
        var t = x - x.detach();
        var change = p[0] + p[1] * t.narrow(1, 0, 1) + p[2] * t.narrow(1, 1, 1) + p[3] * t.square().sum([1L], keepdim: true) / 4;
        var s = nn.functional.linear(x, _a.weight!, _a.bias);
        var h = (layer == 0 ? s + change : s).tanh();
        var f = nn.functional.linear(h, _b.weight!, _b.bias);
        return layer == 1 ? f + change : f;
    }

    /// <summary>ā [C, n, in + 1] and δ [C, n, out] of a layer in a term.</summary>
    private (Tensor A, Tensor Delta) Layer(int layer, bool interior)
    {
        var points = interior ? _interior : _boundary;
        var spec = interior ? JetSpec.Laplacian(2) : JetSpec.Value(2);
        var a = NestedJet.Stack(x => layer == 0 ? x : nn.functional.linear(x, _a.weight!, _a.bias).tanh(), points, spec).detach();
        var one = zeros(a.shape[0], a.shape[1], 1, dtype: F64);
        one[0].fill_(1);
        var p = zeros(4, points.shape[0], layer == 0 ? 3 : 1, dtype: F64).requires_grad_();
        var (u, x) = NestedJet.At(x => Perturbed(layer, x, p), points);
        var (d0, d1) = (NestedJet.D(u, x, 0), NestedJet.D(u, x, 1));
        var r = interior ? (NestedJet.D(d0, x, 0) + NestedJet.D(d1, x, 1)) * u + d0 : Math.Sqrt(2) * (u - 1);
        var delta = ReverseMode.Derivative([r.sum()], [p])[0]!;
        return (cat([a, one], 2), delta.narrow(0, 0, spec.Components));
    }

    private static Tensor Sum(Tensor rows) => rows.flatten(0, 1).mT.matmul(rows.flatten(0, 1));

    private Tensor Rows => _model.Rows(_interior, _boundary);

    private Tensor Backward(bool sum = false)
    {
        _model.zero_grad();
        var f = _model.call(Rows);
        (sum ? f.square().sum() / 2 : f.square().mean() / 2).backward();
        return f.detach();
    }

    [Theory, InlineData("default"), InlineData("exact"), InlineData("empirical")]
    public void Factors_are_sums_over_components_and_terms(string fisher)
    {
        FisherOptions? options = fisher switch
        {
            "exact" => new FisherOptions.Exact(),
            "empirical" => new FisherOptions.Empirical(),
            _ => null,
        };
        using var estimate = new KroneckerEstimate(_model, new SquaredError(), Now with { Fisher = options });
        var r = Backward();
        estimate.Update();
        using var factored = KroneckerFactored.Of(estimate);
        Assert.Equal(2, factored.Factors.Count);
        for (int layer = 0; layer < 2; layer++)
        {
            var ((a, delta), (aEdge, edge)) = (Layer(layer, true), Layer(layer, false));
            if (fisher == "empirical")
                (delta, edge) = (delta * r.narrow(0, 0, Interior), edge * r.narrow(0, Interior, Boundary));
            var (_, actualA, actualG) = factored.Factors[layer];
            Near(actualA, (Sum(a) + Sum(aEdge)) / (4 * Interior + Boundary), 1e-12);
            Near(actualG, (Sum(delta) + Sum(edge)) / (Interior + Boundary), 1e-12);
        }
        Assert.All(estimate.Coverage.Rows, row => Assert.Equal("K-FAC Linear", row.Block));
        Assert.Empty(estimate.Reports);
    }

    [Fact]
    public void Corrected_eigenvalues_are_mean_squares_of_rows_of_the_Jacobian()
    {
        using var estimate = new KroneckerEstimate(
            _model,
            new SquaredError(),
            Now with
            {
                Inverse = new InverseOptions.EigenvalueCorrection(),
            }
        )
        {
            Damping = 0.1,
        };
        for (int i = 0; i < 2; i++) // the first sets the basis
        {
            Backward();
            estimate.Update();
        }
        using var factored = KroneckerFactored.Of(estimate);
        var v = randn(estimate.Parameters.Dimension, dtype: F64);
        var expected = zeros_like(v);
        long start = 0;
        for (int layer = 0; layer < 2; layer++)
        {
            var ((a, delta), (aEdge, edge)) = (Layer(layer, true), Layer(layer, false));
            var (_, factorA, factorG) = factored.Factors[layer];
            var (_, qa) = linalg.eigh(factorA);
            var (_, qg) = linalg.eigh(factorG);
            var rows = cat([einsum("cno,cni->noi", delta, a), einsum("cno,cni->noi", edge, aEdge)]); // each row of J
            var moments = qg.mT.matmul(rows).matmul(qa).square().sum([0L]) / (Interior + Boundary);
            var (outs, ins) = (rows.shape[1], rows.shape[2] - 1);
            var joined = cat([v.narrow(0, start, outs * ins).view(outs, ins), v.narrow(0, start + (outs * ins), outs).view(outs, 1)], 1);
            var solved = qg.matmul(qg.mT.matmul(joined).matmul(qa) / (moments + 0.1)).matmul(qa.mT);
            expected.narrow(0, start, outs * ins).copy_(solved.narrow(1, 0, ins).reshape(-1));
            expected.narrow(0, start + (outs * ins), outs).copy_(solved.select(1, ins));
            start += outs * (ins + 1);
        }
        Near(estimate.Precondition(v), expected, 1e-10);
        Assert.Empty(estimate.Reports);
    }

    [Fact]
    public void Reduced_weight_sharing_is_reported_and_expanded()
    {
        using var expanded = new KroneckerEstimate(_model, new SquaredError(), Now);
        using var reduced = new KroneckerEstimate(_model, new SquaredError(), Now with { WeightSharing = WeightSharing.Reduce });
        Backward();
        expanded.Update();
        reduced.Update();
        using var one = KroneckerFactored.Of(expanded);
        using var other = KroneckerFactored.Of(reduced);
        foreach (var (x, y) in one.Factors.Zip(other.Factors))
            Near(x.A, y.A, 0);
        Assert.Contains(reduced.Reports, r => r.Message.Contains("jet are expanded", StringComparison.Ordinal));
    }

    [Fact]
    public void A_failed_pass_leaves_no_observer()
    {
        using var estimate = new KroneckerEstimate(_model, new SquaredError(), Now);
        Assert.Throws<ArgumentException>(() => _model.call(_interior));
        Backward();
        estimate.Update();
        using var factored = KroneckerFactored.Of(estimate);
        var (a, edge) = (Layer(1, true).A, Layer(1, false).A);
        Near(factored.Factors[1].Item2, (Sum(a) + Sum(edge)) / (4 * Interior + Boundary), 1e-12);
    }
}
