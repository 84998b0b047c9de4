using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;
using Amari.Tests.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>An estimate by itself, without an optimizer: against factors made by hand and dense solves.</summary>
public abstract class KroneckerEstimateTest : KfacTest
{
    private protected const double Tolerance = 1e-11,
        Damping = 0.03;

    private protected static readonly CurvatureOptions Exact = new()
    {
        Fisher = new FisherOptions.Exact(),
        Inverse = new InverseOptions.Eigenbasis(),
        Refresh = new()
        {
            FactorInterval = 1,
            InverseInterval = 1,
            Warmup = null,
        },
    };

    private protected readonly Linear _a,
        _b;
    private protected readonly Categorical _likelihood = new();

    private protected KroneckerEstimateTest()
        : base(17)
    {
        (_a, _b) = (nn.Linear(4, 5), nn.Linear(5, 3));
        Model = nn.Sequential(("a", _a), ("t", nn.Tanh()), ("b", _b));
    }

    private protected nn.Module<Tensor, Tensor> Model { get; }

    private protected KroneckerEstimate Make(CurvatureOptions? options = null) =>
        new(Model, _likelihood, options ?? Exact) { Damping = Damping };

    private protected static (Tensor X, Tensor Y) Batch(long n = 7) => (randn(n, 4), randint(0, 3, [n]));

    private protected void Backward(Tensor x, Tensor y)
    {
        Model.zero_grad();
        nn.functional.cross_entropy(Model.call(x), y).backward();
    }

    private protected Tensor Flat() => cat([.. Model.parameters().Select(p => p.grad!.flatten())]);

    private protected static Tensor WithOne(Tensor a) => cat([a, ones(a.shape[0], 1)], 1);

    /// <summary>A and G of both layers, of activations and gradients by hand: F = J' (diag p - p p') J for the softmax.</summary>
    private protected (Tensor A, Tensor G)[] Factors(Tensor x)
    {
        using var off = no_grad();
        long n = x.shape[0];
        var h = x.mm(_a.weight!.T).add(_a.bias!).tanh();
        var p = h.mm(_b.weight!.T).add(_b.bias!).softmax(1);
        var outputs = zeros(3, 3);
        var hidden = zeros(5, 5);
        for (long i = 0; i < n; i++)
        {
            var lambda = p[i].diag() - outer(p[i], p[i]);
            var back = _b.weight!.mm((1 - h[i].square()).diag()); // ∂f / ∂s of the first layer: [3, 5]
            outputs += lambda;
            hidden += back.T.mm(lambda).mm(back);
        }
        var (first, second) = (WithOne(x), WithOne(h));
        return [(first.T.mm(first) / n, hidden / n), (second.T.mm(second) / n, outputs / n)];
    }

    /// <summary>The same of the gradients of the labels.</summary>
    private protected (Tensor A, Tensor G)[] Empirical(Tensor x, Tensor y)
    {
        using var off = no_grad();
        long n = x.shape[0];
        var h = x.mm(_a.weight!.T).add(_a.bias!).tanh();
        var outputs = h.mm(_b.weight!.T).add(_b.bias!).softmax(1) - nn.functional.one_hot(y, 3);
        var hidden = outputs.mm(_b.weight!) * (1 - h.square());
        var (first, second) = (WithOne(x), WithOne(h));
        return [(first.T.mm(first) / n, hidden.T.mm(hidden) / n), (second.T.mm(second) / n, outputs.T.mm(outputs) / n)];
    }

    private protected static (Tensor A, Tensor G)[] Mean((Tensor A, Tensor G)[] one, (Tensor A, Tensor G)[] other, double share) =>
        [.. one.Zip(other, (p, q) => (p.A * share + q.A * (1 - share), p.G * share + q.G * (1 - share)))];

    private protected static Tensor Matrix((Tensor A, Tensor G)[] factors) =>
        block_diag([.. factors.Select(f => Dense.Kronecker(f.A, f.G, bias: true))]);

    private protected static Tensor Solution((Tensor A, Tensor G)[] factors, Tensor v, double damping = Damping)
    {
        var matrix = Matrix(factors);
        return linalg.solve(matrix + damping * eye(matrix.shape[0]), v);
    }

    private protected static void IsNear(Tensor actual, Tensor expected) =>
        Assert.InRange(Dense.RelativeError(actual, expected), 0, Tolerance);

    private protected static void Hold(KroneckerEstimate estimate, (Tensor A, Tensor G)[] expected)
    {
        using var factored = KroneckerFactored.Of(estimate);
        Assert.Equal(expected.Length, factored.Factors.Count);
        foreach (var ((_, a, g), (expectedA, expectedG)) in factored.Factors.Zip(expected))
        {
            IsNear(a, expectedA);
            IsNear(g, expectedG);
        }
    }

    private protected Objective Data(params Tensor[] batches) =>
        new(Model, _likelihood, [.. batches.Select(x => (x, zeros(x.shape[0], ScalarType.Int64)))]);
}
