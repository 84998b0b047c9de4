using System.Runtime.InteropServices;
using Amari.Curvature;
using Amari.Spectrum;
using Amari.Tests.SecondOrder;
using Amari.Verification;

namespace Amari.Tests.Native;

/// <summary>Inputs that a model cannot take: one sentence that says what they are and what to do.</summary>
public sealed class ForwardFailureTests : IDisposable
{
    private const int N = 6;
    private readonly DisposeScope _scope = NewDisposeScope();

    public ForwardFailureTests() => manual_seed(2);

    public void Dispose() => _scope.Dispose();

    private static Tensor Labels => randint(0, 3, [N]);

    private static nn.Module<Tensor, Tensor> Mlp(ScalarType type = ScalarType.Float32) =>
        nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3))).to(type);

    private static void Names(Action act, params string[] parts)
    {
        var failure = Assert.ThrowsAny<ArgumentException>(act);
        Assert.DoesNotContain('\n', failure.Message);
        Assert.All(parts, p => Assert.Contains(p, failure.Message, StringComparison.Ordinal));
        Assert.IsType<ExternalException>(failure.InnerException);
    }

    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void Second_order_optimizers_name_the_two_types(string name)
    {
        using var optimizer = SecondOrderCases.Make(name, Mlp());
        Names(
            () => optimizer.StepOnBatch(randn([N, 4], dtype: ScalarType.Float64), Labels),
            "Float64",
            "Float32",
            "to_type(ScalarType.Float32)"
        );
    }

    [Theory]
    [InlineData(ScalarType.Float32, ScalarType.Float64)]
    [InlineData(ScalarType.Float64, ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16, ScalarType.Float32)]
    public void So_does_whatever_calls_the_model(ScalarType model, ScalarType inputs)
    {
        var x = randn([N, 4], dtype: inputs);
        var objective = new Objective(Mlp(model), new Categorical(), [(x, Labels), (x, Labels)]);
        var v = ones(objective.Parameters.Dimension, dtype: model);
        foreach (
            var act in (Action[])
                [
                    () => objective.Loss(),
                    () => objective.Gradient(),
                    () => new Hessian(objective).Apply(v),
                    () => new GaussNewton(objective).Apply(v),
                    () => new Fisher(objective, FisherKind.MonteCarlo).Apply(v),
                    () => GradientNoiseScale.Of(objective),
                    () => new KroneckerFactored(objective).Apply(v),
                    () => new Sophia(Mlp(model), new Categorical()).UpdateCurvature(x, Labels),
                    () => new AdaHessian(Mlp(model), new Categorical()).UpdateCurvature(x, Labels),
                    () => new Kfac(Mlp(model), null, new Categorical()).StepOnBatch(x, Labels),
                ]
        )
            Names(act, $"The inputs are {inputs} where the model's parameters are {model}", $"to_type(ScalarType.{model})");
    }

    [Fact]
    public void Other_inputs_are_described_with_what_libtorch_says()
    {
        var conv = nn.Sequential(("c", nn.Conv2d(1, 2, 3)), ("f", nn.Flatten()), ("l", nn.Linear(8, 3)));
        var tokens = nn.Sequential(("e", nn.Embedding(5, 2)), ("f", nn.Flatten()), ("l", nn.Linear(8, 3)));
        Says(Mlp(), randn(N, 5), "Float32 [6, 5]", "shapes cannot be multiplied (6x5 and 4x5)");
        Says(Mlp(), randint(0, 3, [N, 4]), "Int64 [6, 4]", "Long and Float");
        Says(conv, randn([N, 1, 4, 4], dtype: ScalarType.Float64), "Float64", "Float32");
        Says(conv, randn(N, 1, 5, 4), "Float32 [6, 1, 5, 4]", "shapes");
        Says(tokens, randn(N, 4), "Float32 [6, 4]", "indices");
        Says(tokens, full([N, 4], 5, dtype: ScalarType.Int64), "Int64 [6, 4]", "out of range");

        static void Says(nn.Module<Tensor, Tensor> model, Tensor x, params string[] parts) =>
            Names(() => new Objective(model, new Categorical(), [(x, Labels)]).Loss(), parts);
    }

    [Fact]
    public void The_verifier_takes_inputs_of_any_type_or_explains()
    {
        Assert.True(Verifier.Verify(Mlp(), new Categorical(), randn([N, 4], dtype: ScalarType.Float64), Labels).Passed);
        Names(() => Verifier.Verify(Mlp(), new Categorical(), randn(N, 5), Labels), "[6, 5]", "shapes cannot be multiplied");
    }
}
