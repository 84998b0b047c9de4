using Amari.Curvature;
using Amari.Solvers;

namespace Amari.Tests.Spectrum;

/// <summary>Symmetric matrices whose eigenvalues are known, in float64.</summary>
internal static class Matrices
{
    /// <summary>Q diag(values) Q' with a random orthogonal Q.</summary>
    public static Tensor With(double[] values, long seed = 1)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)seed);
        var (q, _) = linalg.qr(randn(values.Length, values.Length, dtype: ScalarType.Float64, generator: generator));
        return q.mul(tensor(values)).mm(q.T).MoveToOuterDisposeScope();
    }

    public static LinearOperator Operator(double[] values, long seed = 1) => LinearOperator.FromDense(With(values, seed));

    /// <summary>A bulk that decays and a few outliers, as networks have.</summary>
    public static double[] Network(int d) => [.. Enumerable.Range(0, d).Select(i => i < 5 ? 20.0 / (i + 1) : Math.Exp(-0.05 * i))];

    /// <summary>A linear model with its data and the Hessian of its mean loss in closed form: J'ΛJ over examples, no network
    /// code.</summary>
    public static (Objective Objective, Tensor Hessian) Regression(string kind)
    {
        const int N = 40,
            In = 6,
            C = 3;
        manual_seed(5);
        var x = randn(N, In, dtype: ScalarType.Float64);
        int outputs = kind == "softmax" ? C : 1;
        var model = nn.Linear(In, outputs, hasBias: false, dtype: ScalarType.Float64);
        Likelihood likelihood = kind switch
        {
            "linear" => new Gaussian(),
            "logistic" => new Bernoulli(),
            _ => new Categorical(),
        };
        var y = kind switch
        {
            "linear" => randn(N, 1, dtype: ScalarType.Float64),
            "logistic" => randint(0, 2, [N, 1], dtype: ScalarType.Float64),
            _ => randint(0, C, [N], dtype: ScalarType.Int64),
        };
        using var off = no_grad();
        var f = x.mm(model.weight!.T);
        var h = zeros(outputs * In, outputs * In, dtype: ScalarType.Float64);
        for (int i = 0; i < N; i++)
        {
            var xx = x[i].outer(x[i]);
            var p = kind == "softmax" ? f[i].softmax(0) : f[i].sigmoid();
            var lambda = kind switch
            {
                "linear" => ones(1, 1, dtype: ScalarType.Float64),
                "logistic" => (p * (1 - p)).view(1, 1),
                _ => p.diag() - p.outer(p),
            };
            h += kron(lambda, xx) / N;
        }
        (Tensor, Tensor)[] batches = [.. Enumerable.Range(0, 4).Select(b => (x.narrow(0, 10 * b, 10), y.narrow(0, 10 * b, 10)))];
        return (new Objective(model, likelihood, batches), h);
    }
}
