using System.Reflection;
using Amari.Optimizers;
using Amari.Ranks;
using Amari.Tests.Optimizers;
using Amari.Training;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

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

    private static readonly Type[] Options = [.. OptimizerCases.OptionTypes, typeof(PartitionedOptimizer.Options)];

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

    /// <summary>What takes an outlier to show: <see cref="MuonTests"/>; or measures:
    /// <see cref="DiagonalCurvatureOptimizerTests"/>.</summary>
    private static bool IsTestedElsewhere(PropertyInfo option) =>
        option.DeclaringType == typeof(DiagonalCurvatureOptions)
        || (option.DeclaringType == typeof(Muon.Options) && option.Name == nameof(Muon.Options.MaxGrowth));

    /// <summary>Those that all methods share: <see cref="SharedOptionsTests"/>.</summary>
    private static bool IsShared(PropertyInfo option) =>
        option.DeclaringType == typeof(GroupedOptions) || option.DeclaringType == typeof(MomentumOptions);

    [Theory, MemberData(nameof(OptimizerCases.Methods), MemberType = typeof(OptimizerCases))]
    public void Each_option_changes_the_trajectory(string name)
    {
        foreach (bool fused in new[] { true, false })
        {
            double[] Run(GroupedOptions options)
            {
                var p = Problem.Parameters([
                    [6, 5],
                    [4, 3, 3],
                    [7],
                ]);
                using var o = OptimizerCases.Of(options, p, fused);
                for (int step = 0; step < 6; step++)
                {
                    Problem.SetGradients(p, step);
                    OptimizerCases.Measure(o, 1);
                    o.step();
                }
                return Problem.Values(p);
            }
            var start = OptimizerCases.Start(name);
            double[] plain = Run(start);
            foreach (var option in start.GetType().GetProperties().Where(p => p.CanWrite && !IsShared(p) && !IsTestedElsewhere(p)))
                Assert.True(Others(start, option).Any(o => !plain.SequenceEqual(Run(o))), $"{name}.{option.Name} changes nothing");
        }
    }

    /// <summary>The options with one changed, to values of its range.</summary>
    private static IEnumerable<GroupedOptions> Others(GroupedOptions start, PropertyInfo option)
    {
        object? now = option.GetValue(start);
        object?[] large = now is double number ? [1e12 * number] : []; // a bound from below shows
        foreach (object? value in OptionChangeTests.Values(option.PropertyType, now).Concat(large))
        {
            GroupedOptions other;
            try
            {
                other = OptimizerCases.With(start, (option.Name, value));
                other.Validate();
            }
            catch (Exception e) when (e is TargetInvocationException or ArgumentException)
            {
                continue; // out of its range
            }
            yield return other;
        }
    }

    [Fact]
    public void Options_that_do_not_go_together_are_refused()
    {
        var p = Problem.Parameters([
            [3],
        ]);
        Assert.Contains(
            "must be 0",
            Assert.Throws<ArgumentException>(() => new Sgd(p, new() { Nesterov = true, Dampening = 0.5 })).Message,
            StringComparison.Ordinal
        );
        using var o = new Sgd(p, new() { DecoupledDecay = true, CautiousDecay = true });
        Assert.Throws<ArgumentException>(() => o.Groups[0].Options = o.Groups[0].Options with { DecoupledDecay = false });
        o.Groups[0].Options = o.Groups[0].Options with { DecoupledDecay = false, CautiousDecay = false };
    }
}
