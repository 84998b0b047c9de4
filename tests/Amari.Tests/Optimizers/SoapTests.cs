using Amari.Verification;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>SOAP, which is Adam in the identity basis.</summary>
public sealed class SoapTests
{
    [Fact]
    public void Each_option_of_Soap_changes_the_trajectory() =>
        AllDiffer(
            g => new Soap(g),
            new Soap.Options(),
            new() { LearningRate = 0.1 },
            new() { Maximize = true },
            new() { Beta1 = 0.5 },
            new() { Beta2 = 0.5 },
            new() { FactorEma = 0.5 },
            new() { Epsilon = 0.1 },
            new() { WeightDecay = 0.1 },
            new() { RefreshInterval = 2 },
            new() { MaxDimension = 5 },
            new() { MaxDimension = 0 }
        );

    /// <summary>The basis of a side of one is a number, ±1.</summary>
    [Fact]
    public void Soap_of_a_row_without_a_longer_basis_is_Adam() =>
        SoapIsAdam(
            [
                [1, 9],
            ],
            new()
            {
                MaxDimension = 1,
                Epsilon = 1e-15,
                WeightDecay = 0,
            }
        );

    [Fact]
    public void Soap_in_the_identity_basis_is_a_later_Adam() =>
        SoapIsAdam(
            Shapes,
            new()
            {
                MaxDimension = 0,
                Epsilon = 1e-15,
                WeightDecay = 0,
            }
        );

    /// <summary>Diagonal gradients have diagonal factors, whose eigenvectors are the unit vectors, by falling eigenvalue: all products with
    /// the bases run, and change nothing.</summary>
    [Fact]
    public void Soap_whose_bases_are_of_unit_vectors_is_Adam()
    {
        using var scope = NewDisposeScope();
        Parameter soap = nn.Parameter(zeros(5, 5, dtype: ScalarType.Float64)),
            adam = nn.Parameter(zeros(5, 5, dtype: ScalarType.Float64));
        using var a = new Soap([
            ParameterGroup.Of(
                [soap],
                new Soap.Options()
                {
                    Epsilon = 1e-8,
                    WeightDecay = 0,
                    RefreshInterval = 2,
                    FactorEma = 0.5,
                }
            ),
        ]); // ε above what rounding leaves beside the diagonal
        using var b = new Adam([
            ParameterGroup.Of(
                [adam],
                new Adam.Options()
                {
                    LearningRate = 3e-3,
                    Beta1 = 0.95,
                    Beta2 = 0.95,
                    Epsilon = 1e-8,
                }
            ),
        ]);
        var bases = new HashSet<string>();
        for (int step = 0; step < 12; step++)
        {
            soap.grad = diag(
                Problem
                    .Parameters(
                        [
                            [5],
                        ],
                        ScalarType.Float64,
                        seed: step
                    )[0]
                    .detach()
            );
            adam.grad = soap.grad.clone();
            a.step();
            if (step > 0)
                b.step();
            double[] basis = [.. Problem.Values([a.Snapshot().Tensors["0.LeftBasis"]]).Select(x => Math.Round(Math.Abs(x), 12))];
            Assert.Equal((20, 5), (basis.Count(x => x == 0), basis.Count(x => x == 1)));
            bases.Add(string.Join(' ', basis));
        }
        Assert.True(bases.Count > 1); // their order changed on the way
        Near(Problem.Values([adam]), Problem.Values([soap]), 1e-8);
    }

    private static void SoapIsAdam(long[][] shapes, Soap.Options options)
    {
        var (soap, adam) = (Problem.Parameters(shapes, ScalarType.Float64), Problem.Parameters(shapes, ScalarType.Float64));
        using var a = new Soap([ParameterGroup.Of(soap, options)]);
        using var b = new Adam([
            ParameterGroup.Of(
                adam,
                new Adam.Options()
                {
                    LearningRate = 3e-3,
                    Beta1 = 0.95,
                    Beta2 = 0.95,
                    Epsilon = 1e-15,
                }
            ),
        ]);
        for (int step = 0; step < 12; step++)
        {
            Problem.SetGradients(soap, step);
            Problem.SetGradients(adam, step);
            a.step();
            if (step > 0)
                b.step();
        }
        Near(Problem.Values(adam), Problem.Values(soap), 1e-12);
    }
}
