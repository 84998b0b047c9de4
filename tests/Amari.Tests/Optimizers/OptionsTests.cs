using Amari.Optimizers;
using Amari.Ranks;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>Options of every optimizer: their ranges, and that each has an effect.</summary>
public sealed class OptionsTests
{
    public static TheoryData<string, double, string> BadOptions =>
        new()
        {
            { "LearningRate", -1, ">= 0" },
            { "LearningRate", double.NaN, ">= 0" },
            { "LearningRate", double.PositiveInfinity, ">= 0" },
            { "Momentum", 1, "[0, 1)" },
            { "Beta1", -0.1, "[0, 1)" },
            { "Beta1", double.NaN, "[0, 1)" },
            { "Beta2", 1, "[0, 1)" },
            { "Epsilon", 0, "> 0" },
            { "WeightDecay", -1e-3, ">= 0" },
        };

    private static readonly Type[] Options =
    [
        typeof(Sgd.Options),
        typeof(Adam.Options),
        typeof(AdamW.Options),
        typeof(Lion.Options),
        typeof(Muon.Options),
        typeof(Lamb.Options),
        typeof(Adafactor.Options),
        typeof(ScheduleFree.Options),
        typeof(Soap.Options),
        typeof(Shampoo.Options),
        typeof(Sophia.Options),
        typeof(AdaHessian.Options),
        typeof(PartitionedOptimizer.Options),
    ];

    [Theory, MemberData(nameof(BadOptions))]
    public void Bad_options_are_refused_with_value_and_range(string option, double value, string range)
    {
        var members = Options.Select(t => (Type: t, Member: t.GetProperty(option))).Where(m => m.Member is not null).ToList();
        Assert.NotEmpty(members);
        foreach (var (type, member) in members)
        {
            var error = Assert
                .Throws<System.Reflection.TargetInvocationException>(() => member!.SetValue(Activator.CreateInstance(type), value))
                .InnerException;
            Assert.IsType<ArgumentOutOfRangeException>(error);
            Assert.Contains(FormattableString.Invariant($"{option} is {value}"), error.Message, StringComparison.Ordinal);
            Assert.Contains(range, error.Message, StringComparison.Ordinal);
        }
    }

    public static TheoryData<string> AllOptions =>
        [.. Amari.Training.OptimizerCatalog.All.Select(o => o.OptionsType.DeclaringType!.Name).Distinct()];

    /// <summary>Whatever else they may be: no option is NaN or infinite, or negative beyond all ranges.</summary>
    [Theory, MemberData(nameof(AllOptions))]
    public void Every_number_among_the_options_has_a_range(string optimizer)
    {
        var type = Amari.Training.OptimizerCatalog.All.First(o => o.OptionsType.DeclaringType!.Name == optimizer).OptionsType;
        int numbers = 0;
        foreach (var member in type.GetProperties().Where(p => p.CanWrite))
        {
            object[] bad = (Nullable.GetUnderlyingType(member.PropertyType) ?? member.PropertyType) switch
            {
                var t when t == typeof(double) => [double.NaN, double.PositiveInfinity, -1e300],
                var t when t == typeof(int) => [int.MinValue],
                var t when t == typeof(long) && member.Name != "Seed" => [long.MinValue],
                _ => [],
            };
            numbers += bad.Length;
            foreach (object value in bad)
            {
                var error = Assert
                    .Throws<System.Reflection.TargetInvocationException>(() => member.SetValue(Activator.CreateInstance(type), value))
                    .InnerException;
                Assert.Contains(
                    FormattableString.Invariant($"{member.Name} is {value}"),
                    Assert.IsType<ArgumentOutOfRangeException>(error).Message,
                    StringComparison.Ordinal
                );
            }
        }
        Assert.True(numbers > 0);
    }

    [Fact]
    public void Values_that_an_enum_does_not_have_are_refused()
    {
        foreach (var member in Options.SelectMany(t => t.GetProperties()).Where(p => p.PropertyType.IsEnum && p.CanWrite))
        {
            var error = Assert
                .Throws<System.Reflection.TargetInvocationException>(() =>
                    member.SetValue(Activator.CreateInstance(member.ReflectedType!), Enum.ToObject(member.PropertyType, 99))
                )
                .InnerException;
            Assert.Contains(
                $"{member.Name} is 99; it must be one of",
                Assert.IsType<ArgumentOutOfRangeException>(error).Message,
                StringComparison.Ordinal
            );
        }
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Each_option_changes_the_trajectory(bool fused)
    {
        double[] Run(Func<Parameter[], Optimizer> make)
        {
            var p = Problem.Parameters([
                [3333],
            ]); // so many that a rounded momentum turns some sign of Lion's
            using var o = make(p);
            Problem.Steps(o, p, 0, 4);
            return Problem.Values(p);
        }
        double[][] Runs<T>(Func<ParameterGroup<T>, Optimizer> make, params T[] options)
            where T : OptimizerOptions
        {
            Trajectory.Complete(options);
            return [.. options.Select(o => Run(p => make(ParameterGroup.Of(p, o))))];
        }

        Trajectory.AllDiffer(
            Runs<Sgd.Options>(
                g => new Sgd([g]) { Fused = fused },
                new(),
                new() { LearningRate = 0.2 },
                new() { Momentum = 0.5 },
                new() { Nesterov = true },
                new() { WeightDecay = 0.1 },
                new() { Maximize = true },
                new() { Dampening = 0.5 },
                new() { WeightDecay = 0.1, DecoupledDecay = true }
            )
        );
        Trajectory.AllDiffer(
            Runs<Adam.Options>(
                g => new Adam([g]) { Fused = fused },
                new(),
                new() { LearningRate = 0.2 },
                new() { Beta1 = 0.5 },
                new() { Beta2 = 0.5 },
                new() { Epsilon = 0.1 },
                new() { WeightDecay = 0.1 },
                new() { Maximize = true },
                new() { AmsGrad = true }
            )
        );
        Trajectory.AllDiffer(
            Runs<AdamW.Options>(
                g => new AdamW([g]) { Fused = fused },
                new(),
                new() { LearningRate = 0.2 },
                new() { Beta1 = 0.5 },
                new() { Beta2 = 0.5 },
                new() { Epsilon = 0.1 },
                new() { WeightDecay = 0.1 },
                new() { Cautious = true },
                new() { StateFormat = StateFormat.BFloat16 },
                new() { StateFormat = StateFormat.BlockwiseInt8 },
                new() { Maximize = true },
                new() { AmsGrad = true }
            )
        );
        Trajectory.AllDiffer(
            Runs<Lion.Options>(
                g => new Lion([g]) { Fused = fused },
                new(),
                new() { LearningRate = 0.2 },
                new() { Beta1 = 0.2 },
                new() { Beta2 = 0.2 },
                new() { WeightDecay = 0.1 },
                new() { Cautious = true },
                new() { StateFormat = StateFormat.BFloat16 },
                new() { StateFormat = StateFormat.BlockwiseInt8 },
                new() { Maximize = true }
            )
        );
    }
}
