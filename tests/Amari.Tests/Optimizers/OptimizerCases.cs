using System.Reflection;
using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

/// <summary>Every optimizer with a group loop, in each setting that takes another path: what the contract tests run over.</summary>
public static class OptimizerCases
{
    private static readonly Dictionary<string, OptimizerOptions> Cases = new()
    {
        ["Sgd plain"] = new Sgd.Options { Momentum = 0 },
        ["Sgd momentum"] = new Sgd.Options(),
        ["Sgd L2"] = new Sgd.Options { Momentum = 0, WeightDecay = 0.1 },
        ["Sgd Nesterov L2"] = new Sgd.Options { Nesterov = true, WeightDecay = 0.1 },
        ["Sgd dampened"] = new Sgd.Options
        {
            Dampening = 0.5,
            WeightDecay = 0.1,
            Maximize = true,
        },
        ["Sgd decoupled"] = new Sgd.Options
        {
            Nesterov = true,
            WeightDecay = 0.1,
            DecoupledDecay = true,
        },
        ["Adam AmsGrad"] = new Adam.Options
        {
            Beta2 = 0.5,
            WeightDecay = 0.1,
            AmsGrad = true,
        },
        ["AdamW AmsGrad"] = new AdamW.Options
        {
            Beta2 = 0.5,
            AmsGrad = true,
            Maximize = true,
        },
        ["Adam"] = new Adam.Options(),
        ["Adam L2"] = new Adam.Options
        {
            LearningRate = 0.01,
            Beta1 = 0,
            Beta2 = 0.9,
            Epsilon = 1e-3,
            WeightDecay = 0.1,
        },
        ["AdamW"] = new AdamW.Options(),
        ["AdamW other"] = new AdamW.Options
        {
            LearningRate = 0.02,
            Beta1 = 0.5,
            Beta2 = 0.8,
            Epsilon = 1e-2,
            WeightDecay = 0.5,
        },
        ["Lion"] = new Lion.Options(),
        ["Lion decay"] = new Lion.Options
        {
            LearningRate = 0.01,
            Beta1 = 0.5,
            Beta2 = 0.8,
            WeightDecay = 0.5,
        },
        ["AdamW cautious"] = new AdamW.Options { Cautious = true },
        ["Lion cautious"] = new Lion.Options
        {
            LearningRate = 0.01,
            WeightDecay = 0.5,
            Cautious = true,
        },
        ["Small AdamW bfloat16"] = new AdamW.Options { StateFormat = StateFormat.BFloat16 },
        ["Small AdamW blocks"] = new AdamW.Options { StateFormat = StateFormat.BlockwiseInt8 },
        ["Small Lion bfloat16"] = new Lion.Options { StateFormat = StateFormat.BFloat16 },
        ["Small Lion blocks"] = new Lion.Options { StateFormat = StateFormat.BlockwiseInt8 },
        ["Small Lion cautious"] = new Lion.Options { StateFormat = StateFormat.BlockwiseInt8, Cautious = true },
        ["Small AdamW cautious"] = new AdamW.Options { StateFormat = StateFormat.BFloat16, Cautious = true },
        ["Small AdamW AmsGrad"] = new AdamW.Options { StateFormat = StateFormat.BFloat16, AmsGrad = true },
        ["Small Adam blocks"] = new Adam.Options { StateFormat = StateFormat.BlockwiseInt8, Cautious = true },
        ["Small Sgd blocks"] = new Sgd.Options { StateFormat = StateFormat.BlockwiseInt8 },
        ["Small Sgd bfloat16"] = Caution(StateFormat.BFloat16),
        ["Small Lamb"] = new Lamb.Options { StateFormat = StateFormat.BlockwiseInt8 },
        ["Small Muon"] = new Muon.Options { StateFormat = StateFormat.BlockwiseInt8 },
        ["Small Soap"] = new Soap.Options { StateFormat = StateFormat.BFloat16 },
        ["Small Sophia"] = new Sophia.Options { StateFormat = StateFormat.BlockwiseInt8 },
        ["Small AdaHessian"] = new AdaHessian.Options { StateFormat = StateFormat.BFloat16 },
        ["Sgd cautious"] = Caution(StateFormat.Full),
        ["AdamW cautious decay"] = new AdamW.Options { WeightDecay = 0.5, CautiousDecay = true },
        ["Lion cautious decay"] = new Lion.Options
        {
            WeightDecay = 0.5,
            Cautious = true,
            CautiousDecay = true,
        },
        ["Muon"] = new Muon.Options(),
        ["Muon plain"] = new Muon.Options
        {
            Nesterov = false,
            Momentum = 0.8,
            WeightDecay = 0.1,
        },
        ["Muon cautious"] = new Muon.Options { Cautious = true },
        ["Sophia"] = new Sophia.Options(),
        ["Sophia unclipped"] = new Sophia.Options
        {
            LearningRate = 0.01,
            Clip = null,
            Gamma = 1,
            Beta2 = 0.5,
        },
        ["AdaHessian"] = new AdaHessian.Options(),
        ["Lamb"] = new Lamb.Options(),
        ["Adafactor"] = new Adafactor.Options { LearningRate = 0.1 },
        ["ScheduleFree AdamW"] = new ScheduleFree.Options(),
        ["ScheduleFree Sgd"] = new ScheduleFree.Options
        {
            Base = ScheduleFreeBase.Sgd,
            LearningRate = 0.1,
            WarmupSteps = 4,
            AveragingPower = 1,
        },
        ["Soap"] = new Soap.Options { LearningRate = 0.05, RefreshInterval = 2 },
        ["Shampoo"] = new Shampoo.Options { RefreshInterval = 2 },
        ["Shampoo blocks"] = new Shampoo.Options
        {
            Grafting = Grafting.Sgd,
            BlockSize = 3,
            Epsilon = 1e-3,
        },
        ["PartitionedOptimizer Muon"] = new PartitionedOptimizer.Options(),
        ["PartitionedOptimizer Soap"] = new PartitionedOptimizer.Options
        {
            MatrixOptimizer = new Soap.Options { LearningRate = 0.05, RefreshInterval = 2 },
        },
        ["PartitionedOptimizer Shampoo"] = new PartitionedOptimizer.Options
        {
            MatrixOptimizer = new Shampoo.Options { RefreshInterval = 2 },
        },
        // parameters alone have no layer, and go to AdamW; what it does with layers: PartitionedOptimizerTests
        ["PartitionedOptimizer Kfac"] = new PartitionedOptimizer.Options { MatrixOptimizer = new Kfac.Options() },
    };

    private static Sgd.Options Caution(StateFormat format) =>
        new()
        {
            LearningRate = 1e-3,
            Cautious = true,
            CautiousDecay = true,
            DecoupledDecay = true,
            WeightDecay = 1,
            StateFormat = format,
        };

    public static TheoryData<string> Names => [.. Cases.Keys];

    /// <summary>The options that cases are of.</summary>
    internal static IEnumerable<Type> CaseTypes => Cases.Values.Select(o => o.GetType()).Distinct();

    /// <summary>Those with a kernel: for the others the fused path and the torch lines are the same code.</summary>
    public static TheoryData<string> FusedNames => [.. Cases.Keys.Where(n => HasKernel(n) && n != "Small AdamW AmsGrad")];

    private static bool HasKernel(string name)
    {
        using var optimizer = Make(
            name,
            Problem.Parameters([
                [1],
            ])
        );
        return optimizer.GetType().GetProperty("HasKernel", BindingFlags.Instance | BindingFlags.NonPublic)?.GetValue(optimizer) is true;
    }

    /// <summary>λ of <see cref="Start"/>.</summary>
    internal const double Decay = 0.3;

    /// <summary>Every method with a group loop in the library.</summary>
    public static TheoryData<string> Methods => [.. OptionTypes.Select(t => t.DeclaringType!.Name)];

    /// <summary>Their options.</summary>
    internal static IReadOnlyList<Type> OptionTypes { get; } =
    [
        .. typeof(GroupedOptions)
            .Assembly.GetTypes()
            .Where(t => t.IsSubclassOf(typeof(GroupedOptions)) && !t.IsAbstract)
            .OrderBy(t => t.DeclaringType!.Name, StringComparer.Ordinal),
    ];

    /// <summary>A method's options, with a decay that shows.</summary>
    internal static GroupedOptions Start(string method, params (string Option, object Value)[] changes)
    {
        var options = (GroupedOptions)Activator.CreateInstance(OptionTypes.Single(t => t.DeclaringType!.Name == method))!;
        return With(
            options,
            [("LearningRate", 0.05), ("WeightDecay", Decay), ("DecoupledDecay", true), ("FallbackScale", 1.0), .. changes]
        );
    }

    /// <summary>The options with some changed; those that the method lacks are passed over.</summary>
    internal static GroupedOptions With(GroupedOptions options, params (string Option, object? Value)[] changes)
    {
        object copy = options.GetType().GetMethod("<Clone>$")!.Invoke(options, null)!;
        foreach (var (option, value) in changes)
            copy.GetType().GetProperty(option)?.SetValue(copy, value);
        return (GroupedOptions)copy;
    }

    internal static Optimizer Make(string name, IEnumerable<Parameter> parameters, bool fused = true) => Of(Cases[name], parameters, fused);

    internal static Optimizer Make(string name, nn.Module model) =>
        Cases[name] is PartitionedOptimizer.Options options ? new PartitionedOptimizer(model, options) : Of(GroupOf(Cases[name], model));

    /// <summary>The optimizer of these options, with an estimate of the curvature where it measures that: without one there is no
    /// step.</summary>
    internal static Optimizer Of(OptimizerOptions options, IEnumerable<Parameter> parameters, bool fused = true)
    {
        var named = parameters.Select((p, i) => ($"p{i}", p));
        if (options is PartitionedOptimizer.Options partitioned)
            return new PartitionedOptimizer(new Holder(named), partitioned);
        return Of(GroupOf(named, options), fused);
    }

    /// <summary>A <see cref="ParameterGroup{TOptions}"/> of the type of these options.</summary>
    internal static object GroupOf(IEnumerable<(string, Parameter)> named, OptimizerOptions options) =>
        Activator.CreateInstance(typeof(ParameterGroup<>).MakeGenericType(options.GetType()), All, null, [named, options], null)!;

    private const BindingFlags All =
        BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DoNotWrapExceptions;

    private static object GroupOf(OptimizerOptions options, nn.Module model) =>
        typeof(ParameterGroup)
            .GetMethods()
            .Single(m => m.Name == nameof(ParameterGroup.Of) && m.GetParameters()[0].ParameterType == typeof(nn.Module))
            .MakeGenericMethod(options.GetType())
            .Invoke(null, [model, options])!;

    private static Optimizer Of(object group, bool fused = true)
    {
        var optimizer = OfGroups([group]);
        optimizer.GetType().GetProperty(nameof(Sgd.Fused), All)!.SetValue(optimizer, fused);
        Measure(optimizer, ((GroupedOptions)group.GetType().GetProperty("Options")!.GetValue(group)!).Maximize ? -1 : 1);
        return optimizer;
    }

    /// <summary>The optimizer of groups of one type, without an estimate of the curvature.</summary>
    internal static Optimizer OfGroups(params object[] made)
    {
        var groups = Array.CreateInstance(made[0].GetType(), made.Length);
        made.CopyTo(groups, 0);
        var type = made[0].GetType().GetGenericArguments()[0].DeclaringType!;
        var constructor = type.GetConstructors().Single(c => c.GetParameters()[0].ParameterType.IsInstanceOfType(groups));
        object?[] arguments = [groups, .. new object?[constructor.GetParameters().Length - 1]];
        return (Optimizer)constructor.Invoke(All, null, arguments, null);
    }

    /// <summary>Gives an optimizer that measures curvature an estimate of it.</summary>
    internal static void Measure(Optimizer optimizer, double sign)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        Tensor[] Diagonal() => [.. optimizer.parameters().Select(p => (p.grad ?? p).square().add(0.1).mul(sign))];
        if (optimizer is Sophia sophia)
            sophia.UpdateCurvature(Diagonal());
        else if (optimizer is AdaHessian hessian)
            hessian.UpdateCurvature(Diagonal());
    }

    private sealed class Holder : nn.Module
    {
        public Holder(IEnumerable<(string Name, Parameter Parameter)> parameters)
            : base(nameof(Holder))
        {
            foreach (var (name, parameter) in parameters)
                register_parameter(name, parameter);
        }
    }
}
