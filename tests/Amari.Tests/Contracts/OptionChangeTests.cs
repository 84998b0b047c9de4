using System.Reflection;
using System.Text.Json.Serialization;
using Amari.Optimizers;
using Amari.Ranks;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>Options changed while an optimizer trains: what it then saves can be loaded, and goes on bit by bit, whatever the options of
/// the optimizer that loads it.</summary>
public sealed class OptionChangeTests
{
    private const int Steps = 4;

    /// <summary>One entry for each set of options; the matrix methods of PartitionedOptimizer apart.</summary>
    public static TheoryData<string> Names =>
        [
            .. OptimizerCatalog
                .All.Where(e => e.Name.StartsWith("routed", StringComparison.Ordinal))
                .Concat(OptimizerCatalog.All.DistinctBy(e => e.OptionsType))
                .Select(e => e.Name)
                .Distinct(),
        ];

    [Theory, MemberData(nameof(Names))]
    public void A_state_saved_after_any_option_changed_goes_on(string name)
    {
        var entry = OptimizerCatalog.Find(name);
        var start = Settings.Apply(entry.OptionsType, entry.Preset ?? []);
        int changes = 0;
        List<string> refused = [];
        foreach (var (what, other) in Others(start))
        foreach (var (from, to) in new[] { (start, other), (other, start) })
            try
            {
                using var scope = NewDisposeScope();
                Check(entry, from, to, $"{name}, {what}");
                changes++;
            }
            catch (Refused e)
            {
                refused.Add($"{what}: {e.Message}");
            }
        Assert.True(changes > 2 * refused.Count, string.Join("; ", refused));
    }

    /// <summary>A change, or options from the start, that the optimizer does not take.</summary>
    private sealed class Refused(string message) : Exception(message);

    private static void Check(OptimizerEntry entry, OptimizerOptions from, OptimizerOptions to, string what)
    {
        using var model = OlderState.Model();
        using var folder = new TemporaryFolder();
        string file = folder.File("state");
        using var saving = Make(entry, model, from) ?? throw new Refused("not made");
        Run(saving, model, 0);
        try
        {
            SetOptions(saving, to);
            Run(saving, model, Steps);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            throw new Refused(e.Message);
        }
        saving.Save(file);
        long bytes = saving.StateBytes;
        var others = new[] { from, to }
            .Select(options =>
            {
                var copy = OlderState.Model();
                using (no_grad())
                    foreach (var (p, q) in copy.parameters().Zip(model.parameters()))
                        p.copy_(q);
                return (Model: copy, Optimizer: Make(entry, copy, options));
            })
            .Where(o => o.Optimizer is not null)
            .ToList();
        foreach (var (_, other) in others)
        {
            other!.Load(file);
            Assert.Equal(bytes, other.StateBytes);
        }
        // alone each, for the draws of a method may be torch's own
        RunFrom(saving, model);
        var expected = Problem.Values(model.parameters());
        foreach (var (copy, other) in others)
        {
            RunFrom(other!, copy);
            Assert.True(expected.SequenceEqual(Problem.Values(copy.parameters())), what);
            other!.Dispose();
            copy.Dispose();
        }

        static void RunFrom(Optimizer optimizer, nn.Module<Tensor, Tensor> m)
        {
            manual_seed(7);
            Run(optimizer, m, 2 * Steps);
        }
    }

    private static Optimizer? Make(OptimizerEntry entry, nn.Module<Tensor, Tensor> model, OptimizerOptions options)
    {
        try
        {
            return entry.Create(model, options, LabelSquares.For(entry.Name));
        }
        catch (ArgumentException)
        {
            return null; // options that do not go together
        }
    }

    private static void Run(Optimizer optimizer, nn.Module<Tensor, Tensor> model, int from)
    {
        for (int step = from; step < from + Steps; step++)
            OlderState.Step(optimizer, model, step);
    }

    private static void SetOptions(Optimizer optimizer, OptimizerOptions options)
    {
        var group = optimizer.ParamGroups.Single();
        try
        {
            group.GetType().GetProperty("Options")!.SetValue(group, options);
        }
        catch (TargetInvocationException e)
        {
            throw e.InnerException!;
        }
    }

    /// <summary>The options with each one changed, by itself.</summary>
    private static List<(string What, OptimizerOptions Options)> Others(OptimizerOptions start) =>
        [.. Others((object)start).Select(o => (o.What, (OptimizerOptions)o.Options))];

    private static List<(string What, object Options)> Others(object start)
    {
        List<(string, object)> found = [];
        foreach (
            var property in start.GetType().GetProperties().Where(p => p.CanWrite && p.GetCustomAttribute<JsonIgnoreAttribute>() is null)
        )
        {
            object? now = property.GetValue(start);
            if (property.Name == nameof(RefreshOptions.TimeFraction))
                continue; // by the clock, and so not repeatable
            if (property.PropertyType.IsClass)
            {
                foreach (var (what, other) in now is null ? [] : Others(now))
                    Add(property, other, $"{property.Name}.{what}");
                foreach (object kind in Kinds(property.PropertyType).Where(k => k.GetType() != now?.GetType()))
                    Add(property, kind, $"{property.Name} {kind}");
            }
            else
                foreach (object? value in Values(property.PropertyType, now))
                    Add(property, value, FormattableString.Invariant($"{property.Name} {now} and {value ?? "none"}"));
        }
        return found;

        void Add(PropertyInfo property, object? value, string what)
        {
            object copy = start.GetType().GetMethod("<Clone>$")!.Invoke(start, null)!;
            try
            {
                property.SetValue(copy, value);
                if (!copy.Equals(start))
                    found.Add((what, copy));
            }
            catch (TargetInvocationException)
            {
                // out of its range
            }
        }
    }

    /// <summary>What a part of options can be, each with its defaults; a method among them cannot change.</summary>
    private static IEnumerable<object> Kinds(Type type) =>
        type == typeof(OptimizerOptions)
            ? []
            : type
                .Assembly.GetTypes()
                .Where(t => t.IsAssignableTo(type) && !t.IsAbstract && t.GetConstructor([]) is not null)
                .Select(t => Activator.CreateInstance(t)!);

    /// <summary>Other values of an option, perhaps out of its range.</summary>
    internal static IEnumerable<object?> Values(Type type, object? now)
    {
        if (Nullable.GetUnderlyingType(type) is { } inner)
            return Values(inner, now ?? Activator.CreateInstance(inner)).Prepend(now is null ? Activator.CreateInstance(inner) : null);
        return now switch
        {
            bool b => [!b],
            Enum e => Enum.GetValues(type).Cast<object>().Where(v => !v.Equals(e)),
            double d => d == 0 ? [0.1] : [0.0, 0.6 * d, 3 * d],
            int i => [i + 1, 1, 2],
            long n => [n + 1, 2L],
            _ => [],
        };
    }
}
