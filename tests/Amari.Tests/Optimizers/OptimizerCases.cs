using System.Reflection;
using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

/// <summary>Every optimizer with a group loop, in each setting that takes another path: what the contract tests run over.</summary>
public static class OptimizerCases
{
    private static readonly Dictionary<string, Func<Source, bool, Optimizer>> Makers = new()
    {
        ["Sgd plain"] = (p, fused) => new Sgd([p.Group(new Sgd.Options() { Momentum = 0 })]) { Fused = fused },
        ["Sgd momentum"] = (p, fused) => new Sgd([p.Group(new Sgd.Options())]) { Fused = fused },
        ["Sgd L2"] = (p, fused) => new Sgd([p.Group(new Sgd.Options() { Momentum = 0, WeightDecay = 0.1 })]) { Fused = fused },
        ["Sgd Nesterov L2"] = (p, fused) => new Sgd([p.Group(new Sgd.Options() { Nesterov = true, WeightDecay = 0.1 })]) { Fused = fused },
        ["Sgd dampened"] = (p, fused) =>
            new Sgd([
                p.Group(
                    new Sgd.Options()
                    {
                        Dampening = 0.5,
                        WeightDecay = 0.1,
                        Maximize = true,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["Sgd decoupled"] = (p, fused) =>
            new Sgd([
                p.Group(
                    new Sgd.Options()
                    {
                        Nesterov = true,
                        WeightDecay = 0.1,
                        DecoupledDecay = true,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["Adam AmsGrad"] = (p, fused) =>
            new Adam([
                p.Group(
                    new Adam.Options()
                    {
                        Beta2 = 0.5,
                        WeightDecay = 0.1,
                        AmsGrad = true,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["AdamW AmsGrad"] = (p, fused) =>
            new AdamW([
                p.Group(
                    new AdamW.Options()
                    {
                        Beta2 = 0.5,
                        AmsGrad = true,
                        Maximize = true,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["Adam"] = (p, fused) => new Adam([p.Group(new Adam.Options())]) { Fused = fused },
        ["Adam L2"] = (p, fused) =>
            new Adam([
                p.Group(
                    new Adam.Options()
                    {
                        LearningRate = 0.01,
                        Beta1 = 0,
                        Beta2 = 0.9,
                        Epsilon = 1e-3,
                        WeightDecay = 0.1,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["AdamW"] = (p, fused) => new AdamW([p.Group(new AdamW.Options())]) { Fused = fused },
        ["AdamW other"] = (p, fused) =>
            new AdamW([
                p.Group(
                    new AdamW.Options()
                    {
                        LearningRate = 0.02,
                        Beta1 = 0.5,
                        Beta2 = 0.8,
                        Epsilon = 1e-2,
                        WeightDecay = 0.5,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["Lion"] = (p, fused) => new Lion([p.Group(new Lion.Options())]) { Fused = fused },
        ["Lion decay"] = (p, fused) =>
            new Lion([
                p.Group(
                    new Lion.Options()
                    {
                        LearningRate = 0.01,
                        Beta1 = 0.5,
                        Beta2 = 0.8,
                        WeightDecay = 0.5,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["AdamW cautious"] = (p, fused) => new AdamW([p.Group(new AdamW.Options() { Cautious = true })]) { Fused = fused },
        ["Lion cautious"] = (p, fused) =>
            new Lion([
                p.Group(
                    new Lion.Options()
                    {
                        LearningRate = 0.01,
                        WeightDecay = 0.5,
                        Cautious = true,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["Small AdamW bfloat16"] = (p, fused) =>
            new AdamW([p.Group(new AdamW.Options() { StateFormat = StateFormat.BFloat16 })]) { Fused = fused },
        ["Small AdamW blocks"] = (p, fused) =>
            new AdamW([p.Group(new AdamW.Options() { StateFormat = StateFormat.BlockwiseInt8 })]) { Fused = fused },
        ["Small Lion bfloat16"] = (p, fused) =>
            new Lion([p.Group(new Lion.Options() { StateFormat = StateFormat.BFloat16 })]) { Fused = fused },
        ["Small Lion blocks"] = (p, fused) =>
            new Lion([p.Group(new Lion.Options() { StateFormat = StateFormat.BlockwiseInt8 })]) { Fused = fused },
        ["Small Lion cautious"] = (p, fused) =>
            new Lion([p.Group(new Lion.Options() { StateFormat = StateFormat.BlockwiseInt8, Cautious = true })]) { Fused = fused },
        ["Small AdamW cautious"] = (p, fused) =>
            new AdamW([p.Group(new AdamW.Options() { StateFormat = StateFormat.BFloat16, Cautious = true })]) { Fused = fused },
        ["Small AdamW AmsGrad"] = (p, fused) =>
            new AdamW([p.Group(new AdamW.Options() { StateFormat = StateFormat.BFloat16, AmsGrad = true })]) { Fused = fused },
        ["Small Adam blocks"] = (p, fused) =>
            new Adam([p.Group(new Adam.Options() { StateFormat = StateFormat.BlockwiseInt8, Cautious = true })]) { Fused = fused },
        ["Small Sgd blocks"] = (p, fused) =>
            new Sgd([p.Group(new Sgd.Options() { StateFormat = StateFormat.BlockwiseInt8 })]) { Fused = fused },
        ["Small Sgd bfloat16"] = (p, fused) => new Sgd([p.Group(Caution(StateFormat.BFloat16))]) { Fused = fused },
        ["Small Lamb"] = (p, fused) =>
            new Lamb([p.Group(new Lamb.Options() { StateFormat = StateFormat.BlockwiseInt8 })]) { Fused = fused },
        ["Small Muon"] = (p, fused) =>
            new Muon([p.Group(new Muon.Options() { StateFormat = StateFormat.BlockwiseInt8 })]) { Fused = fused },
        ["Small Soap"] = (p, fused) => new Soap([p.Group(new Soap.Options() { StateFormat = StateFormat.BFloat16 })]) { Fused = fused },
        ["Small Sophia"] = (p, fused) =>
            Measured(new Sophia([p.Group(new Sophia.Options() { StateFormat = StateFormat.BlockwiseInt8 })]) { Fused = fused }),
        ["Small AdaHessian"] = (p, fused) =>
            Measured(new AdaHessian([p.Group(new AdaHessian.Options() { StateFormat = StateFormat.BFloat16 })]) { Fused = fused }),
        ["Sgd cautious"] = (p, fused) => new Sgd([p.Group(Caution(StateFormat.Full))]) { Fused = fused },
        ["AdamW cautious decay"] = (p, fused) =>
            new AdamW([p.Group(new AdamW.Options() { WeightDecay = 0.5, CautiousDecay = true })]) { Fused = fused },
        ["Lion cautious decay"] = (p, fused) =>
            new Lion([
                p.Group(
                    new Lion.Options()
                    {
                        WeightDecay = 0.5,
                        Cautious = true,
                        CautiousDecay = true,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["Muon"] = (p, fused) => new Muon([p.Group(new Muon.Options())]) { Fused = fused },
        ["Muon plain"] = (p, fused) =>
            new Muon([
                p.Group(
                    new Muon.Options()
                    {
                        Nesterov = false,
                        Momentum = 0.8,
                        WeightDecay = 0.1,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["Muon cautious"] = (p, fused) => new Muon([p.Group(new Muon.Options() { Cautious = true })]) { Fused = fused },
        ["Sophia"] = (p, fused) => Measured(new Sophia([p.Group(new Sophia.Options())]) { Fused = fused }),
        ["Sophia unclipped"] = (p, fused) =>
            Measured(
                new Sophia([
                    p.Group(
                        new Sophia.Options()
                        {
                            LearningRate = 0.01,
                            Clip = null,
                            Gamma = 1,
                            Beta2 = 0.5,
                        }
                    ),
                ])
                {
                    Fused = fused,
                }
            ),
        ["AdaHessian"] = (p, fused) => Measured(new AdaHessian([p.Group(new AdaHessian.Options())]) { Fused = fused }),
        ["PartitionedOptimizer Muon"] = (p, _) => p.PartitionedOptimizer(new()),
        ["PartitionedOptimizer Soap"] = (p, _) =>
            p.PartitionedOptimizer(
                new()
                {
                    MatrixOptimizer = new Soap.Options() { LearningRate = 0.05, RefreshInterval = 2 },
                }
            ),
        ["PartitionedOptimizer Shampoo"] = (p, _) =>
            p.PartitionedOptimizer(new() { MatrixOptimizer = new Shampoo.Options() { RefreshInterval = 2 } }),
        // parameters alone have no layer, and go to AdamW; what it does with layers: PartitionedOptimizerTests
        ["PartitionedOptimizer Kfac"] = (p, _) => p.PartitionedOptimizer(new() { MatrixOptimizer = new Kfac.Options() }),
        ["Lamb"] = (p, fused) => new Lamb([p.Group(new Lamb.Options())]) { Fused = fused },
        ["Adafactor"] = (p, fused) => new Adafactor([p.Group(new Adafactor.Options() { LearningRate = 0.1 })]) { Fused = fused },
        ["ScheduleFree AdamW"] = (p, fused) => new ScheduleFree([p.Group(new ScheduleFree.Options())]) { Fused = fused },
        ["ScheduleFree Sgd"] = (p, fused) =>
            new ScheduleFree([
                p.Group(
                    new ScheduleFree.Options()
                    {
                        Base = ScheduleFreeBase.Sgd,
                        LearningRate = 0.1,
                        WarmupSteps = 4,
                        AveragingPower = 1,
                    }
                ),
            ])
            {
                Fused = fused,
            },
        ["Soap"] = (p, fused) => new Soap([p.Group(new Soap.Options() { LearningRate = 0.05, RefreshInterval = 2 })]) { Fused = fused },
        ["Shampoo"] = (p, fused) => new Shampoo([p.Group(new Shampoo.Options() { RefreshInterval = 2 })]) { Fused = fused },
        ["Shampoo blocks"] = (p, fused) =>
            new Shampoo([
                p.Group(
                    new Shampoo.Options()
                    {
                        Grafting = Grafting.Sgd,
                        BlockSize = 3,
                        Epsilon = 1e-3,
                    }
                ),
            ])
            {
                Fused = fused,
            },
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

    public static TheoryData<string> Names => [.. Makers.Keys];

    /// <summary>Those with a kernel: for the others the fused path and the torch lines are the same code.</summary>
    public static TheoryData<string> FusedNames =>
        [
            .. Makers.Keys.Where(n =>
                n.Replace("Small ", "", StringComparison.Ordinal).Split(' ')[0] is "Sgd" or "Adam" or "AdamW" or "Lion"
                && n != "Small AdamW AmsGrad"
            ),
        ];

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

    /// <summary>The optimizer of these options.</summary>
    internal static Optimizer Of(GroupedOptions options, Parameter[] parameters, bool fused = true)
    {
        const BindingFlags All = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DoNotWrapExceptions;
        var named = parameters.Select((p, i) => ($"p{i}", p));
        var kind = typeof(ParameterGroup<>).MakeGenericType(options.GetType());
        object group = Activator.CreateInstance(kind, All, null, [named, options], null)!;
        var groups = Array.CreateInstance(kind, 1);
        groups.SetValue(group, 0);
        var type = options.GetType().DeclaringType!;
        var constructor = type.GetConstructors().Single(c => c.GetParameters()[0].ParameterType.IsInstanceOfType(groups));
        object?[] arguments = [groups, .. new object?[constructor.GetParameters().Length - 1]];
        var optimizer = (Optimizer)constructor.Invoke(All, null, arguments, null);
        type.GetProperty(nameof(Sgd.Fused), All)!.SetValue(optimizer, fused);
        Measure(optimizer, options.Maximize ? -1 : 1);
        return optimizer;
    }

    /// <summary>Gives an optimizer that measures curvature an estimate of it.</summary>
    internal static void Measure(Optimizer optimizer, double sign)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        Tensor[] diagonal = [.. optimizer.parameters().Select(p => (p.grad ?? ones_like(p)).square().add(0.1).mul(sign))];
        if (optimizer is Sophia sophia)
            sophia.UpdateCurvature(diagonal);
        else if (optimizer is AdaHessian hessian)
            hessian.UpdateCurvature(diagonal);
    }

    /// <summary>With an estimate of the curvature: without one there is no step.</summary>
    private static DiagonalCurvatureOptimizer<TOptions, TState> Measured<TOptions, TState>(
        DiagonalCurvatureOptimizer<TOptions, TState> optimizer
    )
        where TOptions : DiagonalCurvatureOptions
        where TState : ParameterState
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        optimizer.UpdateCurvature([.. optimizer.parameters().Select(p => p.square() + 0.1)]);
        return optimizer;
    }

    internal static Optimizer Make(string name, IEnumerable<Parameter> parameters, bool fused = true) =>
        Makers[name](new(parameters.Select((p, i) => ($"p{i}", p)), null), fused);

    internal static Optimizer Make(string name, nn.Module model) => Makers[name](new([], model), true);

    private sealed record Source(IEnumerable<(string, Parameter)> Parameters, nn.Module? Model)
    {
        public ParameterGroup<T> Group<T>(T options)
            where T : OptimizerOptions => Model is null ? new(Parameters, options) : ParameterGroup.Of(Model, options);

        public PartitionedOptimizer PartitionedOptimizer(PartitionedOptimizer.Options options) =>
            new(Model ?? new Holder(Parameters), options);
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
