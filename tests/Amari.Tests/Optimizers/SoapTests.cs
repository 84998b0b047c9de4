using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>SOAP, which is Adam in the identity basis.</summary>
public sealed class SoapTests
{
    [Fact]
    public void Each_option_of_Soap_changes_the_trajectory() => AllDiffer(g => new Soap(g), new Soap.Options(), new() { LearningRate = 0.1 },
        new() { Beta1 = 0.5 }, new() { Beta2 = 0.5 }, new() { FactorDecay = 0.5 }, new() { Epsilon = 0.1 }, new() { WeightDecay = 0.1 },
        new() { RefreshInterval = 2 }, new() { MaxDimension = 5 }, new() { MaxDimension = 0 });

    /// <summary>The basis of a side of one is a number, ±1.</summary>
    [Fact]
    public void Soap_of_a_row_whose_longer_side_has_no_basis_is_Adam() => SoapIsAdam([[1, 9]], new() { MaxDimension = 1, Epsilon = 1e-15, WeightDecay = 0 });

    [Fact]
    public void Soap_in_the_identity_basis_is_Adam_from_the_second_gradient_on() => SoapIsAdam(Shapes, new() { MaxDimension = 0, Epsilon = 1e-15, WeightDecay = 0 });

    private static void SoapIsAdam(long[][] shapes, Soap.Options options)
    {
        var (soap, adam) = (Problem.Parameters(shapes, ScalarType.Float64), Problem.Parameters(shapes, ScalarType.Float64));
        using var a = new Soap([ParameterGroup.Of(soap, options)]);
        using var b = new Adam([ParameterGroup.Of(adam, new Adam.Options() { LearningRate = 3e-3, Beta1 = 0.95, Beta2 = 0.95, Epsilon = 1e-15 })]);
        for (int step = 0; step < 12; step++)
        {
            Problem.SetGradients(soap, step);
            Problem.SetGradients(adam, step);
            a.step();
            if (step > 0) b.step();
        }
        Near(Problem.Values(adam), Problem.Values(soap), 1e-12);
    }
}
