using Amari.Optimizers;
using Amari.Serialization;
using Amari.Tests.Optimizers;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>States with a negative number where only sums of squares can stand: refused by name, and nothing is changed.</summary>
public sealed class NegativeStateTests : IDisposable
{
    private static readonly long[][] Shapes =
    [
        [3, 4],
        [5],
    ];
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>What is made of squares; of the matrices the diagonal.</summary>
    private static readonly HashSet<string> Squares =
    [
        "SecondMoment",
        "LargestMoment",
        "SecondScales",
        "Rows",
        "Columns",
        "Variance",
        "Left",
        "Right",
        "LeftFactor",
        "RightFactor",
        "MeanWeight",
    ];

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void What_is_made_of_squares_is_not_taken_with_another_sign(string name)
    {
        var parameters = Problem.Parameters(Shapes);
        using var optimizer = OptimizerCases.Make(name, parameters);
        Problem.Steps(optimizer, parameters, 0, 3);
        var good = optimizer.Snapshot();
        var kept = good with { Tensors = good.Tensors.ToDictionary(t => t.Key, t => t.Value.clone()) };
        var names = kept
            .Tensors.Where(t => Squares.Contains(t.Key.Split('.')[^1]) && t.Value.is_floating_point())
            .Select(t => t.Key)
            .ToList();
        Assert.Equal(
            name.Split(' ') is not ["Sgd" or "Lion" or "Sophia", ..] and not ["Small", "Sgd" or "Lion" or "Sophia", ..],
            names.Count > 0
        );
        foreach (string bad in names)
        {
            var tensors = kept.Tensors.ToDictionary(t => t.Key, t => t.Value.clone());
            First(tensors[bad]).fill_(-0.5);
            var failure = Assert.Throws<InvalidDataException>(() => optimizer.Restore(kept with { Tensors = tensors }));
            Assert.Contains(
                bad[bad.IndexOf('p', StringComparison.Ordinal)..] + "' has the number -0.5",
                failure.Message,
                StringComparison.Ordinal
            );
            Assert.DoesNotContain('\n', failure.Message);
            Same(kept, optimizer.Snapshot());
        }
        foreach (
            string other in kept.Tensors.Keys.Where(k =>
                k.EndsWith("Momentum", StringComparison.Ordinal) || k.EndsWith("FirstMoment", StringComparison.Ordinal)
            )
        )
        {
            var tensors = kept.Tensors.ToDictionary(t => t.Key, t => t.Value.clone());
            if (!tensors[other].is_floating_point())
                continue;
            tensors[other].fill_(-1); // of either sign
            optimizer.Restore(kept with { Tensors = tensors });
        }

        static Tensor First(Tensor t) => t.flatten()[0];

        static void Same(OptimizerSnapshot expected, OptimizerSnapshot value) =>
            Assert.All(expected.Tensors, t => Assert.True(t.Value.equal(value.Tensors[t.Key]).all().ToBoolean()));
    }

    /// <summary>The diagonal of a factor may be below zero by rounding: it is a sum of many.</summary>
    [Fact]
    public void Rounding_on_a_diagonal_is_none()
    {
        NegativeNumbers.Refuse(
            "L",
            tensor(
                new[,]
                {
                    { 1f, -2f },
                    { -2f, -1e-8f },
                }
            ),
            onDiagonal: true
        );
        NegativeNumbers.Refuse("L", zeros(2, 3, 3), onDiagonal: true);
        NegativeNumbers.Refuse("v", zeros(0));
        Assert.Contains(
            "'L' has the number -1E-05 on its diagonal",
            Assert
                .Throws<InvalidDataException>(() =>
                    NegativeNumbers.Refuse(
                        "L",
                        tensor(
                            new[,]
                            {
                                { 1f, 0f },
                                { 0f, -1e-5f },
                            }
                        ),
                        onDiagonal: true
                    )
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    [Theory, InlineData("A"), InlineData("G"), InlineData("Values")]
    public void Factors_and_eigenvalues_of_KFac_are_held_to_it(string what)
    {
        manual_seed(1);
        var model = nn.Sequential(("a", nn.Linear(4, 3)), ("t", nn.Tanh()), ("b", nn.Linear(3, 3)));
        using var optimizer = new Kfac(
            model,
            new()
            {
                Curvature = new()
                {
                    Inverse = new InverseOptions.EigenvalueCorrection(),
                    Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                },
            },
            new Categorical()
        );
        var (x, y) = (randn(8, 4), randint(0, 3, [8]));
        for (int i = 0; i < 3; i++)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(x), y).backward();
            optimizer.step();
        }
        var good = optimizer.Snapshot();
        var tensors = good.Tensors.ToDictionary(t => t.Key, t => t.Value.clone());
        optimizer.Restore(good with { Tensors = tensors });
        tensors[$"b.{what}"].neg_();
        Assert.Contains(
            $"'b.{what}' has the number -",
            Assert.Throws<InvalidDataException>(() => optimizer.Restore(good with { Tensors = tensors })).Message,
            StringComparison.Ordinal
        );
    }
}
