using Amari.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The block of an embedding against a dense float64 Fisher made from Jacobians.</summary>
public sealed class EmbeddingBlockTests() : KfacTest(6)
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
}
