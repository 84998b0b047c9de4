using System.Text.Json.Nodes;
using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

/// <summary>Options of states that have the settings of a linear solver beside it.</summary>
public sealed class EarlierNamesTests
{
    private static readonly LinearSolver.ConjugateGradient Iteration = new() { MaxIterations = 7, Tolerance = 0.25 };

    public static TheoryData<string> Kinds => ["Automatic", "Dense", "Gram", "ConjugateGradient"];

    private static LinearSolver Expected(string kind) =>
        kind switch
        {
            "Automatic" => new LinearSolver.Automatic { MaxDenseBytes = 99, Otherwise = Iteration },
            "Dense" => new LinearSolver.Normal { MaxDenseBytes = 99 },
            "Gram" => new LinearSolver.Gram { MaxDenseBytes = 99 },
            _ => Iteration,
        };

    [Theory, MemberData(nameof(Kinds))]
    public void Solvers_of_states_take_their_settings_along(string kind) =>
        Assert.Equal(
            Expected(kind),
            SavedState
                .Read<NaturalGradient.Options>(
                    new JsonObject
                    {
                        ["LearningRate"] = 0.5,
                        ["Solver"] = kind,
                        ["MaxIterations"] = 7,
                        ["Tolerance"] = 0.25,
                        ["MaxDenseBytes"] = 99,
                    }
                )
                .Solver
        );

    [Theory, MemberData(nameof(Kinds))]
    public void Solvers_of_checkpoints_take_their_settings_along(string kind)
    {
        var saved = new Dictionary<string, string>
        {
            ["LearningRate"] = "0.5",
            ["Solver"] = kind,
            ["MaxIterations"] = "7",
            ["Tolerance"] = "0.25",
            ["MaxDenseBytes"] = "99",
        };
        foreach (var type in (Type[])[typeof(NaturalGradient.Options), typeof(LevenbergMarquardt.Options)])
            Assert.Equal(
                Expected(kind),
                Settings.Restore(type, saved) switch
                {
                    NaturalGradient.Options o => o.Solver,
                    LevenbergMarquardt.Options o => o.Solver,
                    _ => null,
                }
            );
    }
}
