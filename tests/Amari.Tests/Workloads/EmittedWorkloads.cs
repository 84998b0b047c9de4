using System.Globalization;
using System.Reflection;
using System.Reflection.Emit;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

/// <summary>What the emitted workloads derive from.</summary>
public abstract class NamedWorkload(string name) : Workload
{
    public override string Name => name;
    public override string Description => "none";
    public override int BatchSize => 1;
    public override Likelihood Likelihood { get; } = new Gaussian();
    public override Metric Metric => Metric.Accuracy;
    public override Target Target { get; } = new("loss", 0);
    public override Budget DefaultBudget { get; } = Budget.OfEpochs(1);

    public override WorkloadData Load(string? directory) => throw new NotSupportedException();

    public override nn.Module<Tensor, Tensor> CreateModel() => nn.Identity();
}

/// <summary>A base whose static field cannot be made.</summary>
public abstract class BrokenWorkload() : NamedWorkload("broken")
{
    private static readonly int Size = int.Parse("first line\nsecond line", CultureInfo.InvariantCulture);

    public override int BatchSize { get; } = Size;
}

/// <summary>A base without a name.</summary>
public abstract class NamelessWorkload() : NamedWorkload(null!);

/// <summary>A base without data.</summary>
public abstract class DatalessWorkload() : NamedWorkload("dataless")
{
    public override WorkloadData Load(string? directory) => null!;
}

/// <summary>A base without a likelihood.</summary>
public abstract class UnlikelyWorkload() : NamedWorkload("unlikely")
{
    public override Likelihood Likelihood => null!;
}

/// <summary>A base whose model returns nothing.</summary>
public abstract class SilentWorkload() : NamedWorkload("silent")
{
    public override WorkloadData Load(string? directory) => new(new(torch.randn(10, 4), torch.randn(10, 3)), null);

    public override nn.Module<Tensor, Tensor> CreateModel() => new Verification.Sandwich((_, _) => null!);
}

/// <summary>A base that has the name of another.</summary>
public abstract class SecondSilentWorkload : SilentWorkload;

/// <summary>A base with a number in its data that is not finite.</summary>
public abstract class NotFiniteWorkload() : NamedWorkload("not-finite")
{
    public override int BatchSize => 16;
    public override Metric Metric { get; } = new("none", false, (f, _) => f.sum());

    public override WorkloadData Load(string? directory)
    {
        var x = torch.ones(64, 2);
        x[7, 1] = double.NaN;
        return new(new(x, torch.ones(64, 1)), new(torch.ones(3, 2), torch.full([3, 1], double.PositiveInfinity)));
    }

    public override nn.Module<Tensor, Tensor> CreateModel() => nn.Linear(2, 1);
}

/// <summary>A base whose model has no parameters.</summary>
public abstract class EmptyWorkload() : NamedWorkload("empty")
{
    public override WorkloadData Load(string? directory) => new(new(torch.randn(10, 3), torch.randn(10, 3)), null);
}

/// <summary>A base whose model calls a layer by forward().</summary>
public abstract class FaultyWorkload() : NamedWorkload("faulty")
{
    public override WorkloadData Load(string? directory) => new(new(torch.randn(10, 4), torch.randn(10, 3)), null);

    public override nn.Module<Tensor, Tensor> CreateModel() => new Verification.Sandwich((m, x) => m.Last.call(m.First.forward(x).tanh()));
}

/// <summary>A base whose model throws what a bad argument throws, but not before it is trained.</summary>
public abstract class ThrowingWorkload() : NamedWorkload("throwing")
{
    public override Metric Metric { get; } = new("none", false, (f, _) => f.sum());

    public override WorkloadData Load(string? directory) => new(new(torch.randn(10, 4), torch.randn(10, 3)), null);

    public override nn.Module<Tensor, Tensor> CreateModel() =>
        new Verification.Sandwich(
            (m, x) => torch.is_grad_enabled() ? throw new ArgumentException("The table is upside down.") : m.Last.call(m.First.call(x))
        );
}

/// <summary>A base whose model has no second derivative.</summary>
public abstract class OnceDifferentiableWorkload() : NamedWorkload("bag")
{
    public override int BatchSize => 32;
    public override Likelihood Likelihood { get; } = new Categorical();

    public override WorkloadData Load(string? directory) => new(new(torch.randint(0, 10, [64, 5]), torch.randint(0, 3, [64])), null);

    public override nn.Module<Tensor, Tensor> CreateModel() => new SecondOrder.Bag();
}

/// <summary>A base with settings: a linear fit of y = x, whose error |w - 1| is a metric of the model.</summary>
public abstract class AdjustableWorkload() : NamedWorkload("adjustable")
{
    private (string Slope, string Rows) _chosen = ("0", "8");

    public override string Description => $"slope from {_chosen.Slope}, {_chosen.Rows} rows";
    public override Metric Metric { get; } = new("error", false, model => model.parameters().Single().sub(1).abs().item<float>());
    public override Target Target { get; } = new("error", 0.5);

    public override IReadOnlyDictionary<string, string> SettingValues =>
        new Dictionary<string, string> { ["start-slope"] = _chosen.Slope, ["rows"] = _chosen.Rows };

    protected override Workload Configure(IReadOnlyDictionary<string, string> values)
    {
        var other = (AdjustableWorkload)Activator.CreateInstance(GetType())!;
        other._chosen = (values["start-slope"], values["rows"]);
        return int.TryParse(other._chosen.Rows, out _)
            ? other
            : throw new ArgumentException($"rows is '{values["rows"]}'; it must be an integer.");
    }

    public override WorkloadData Load(string? directory)
    {
        var x = torch.linspace(-1, 1, int.Parse(_chosen.Rows, CultureInfo.InvariantCulture)).unsqueeze(1);
        return new(new(x, x.alias()), null);
    }

    public override nn.Module<Tensor, Tensor> CreateModel()
    {
        var model = nn.Linear(1, 1, hasBias: false);
        using var off = torch.no_grad();
        model.weight!.fill_(float.Parse(_chosen.Slope, CultureInfo.InvariantCulture));
        return model;
    }
}

/// <summary>Writes assemblies of workloads, as a user's compiler would.</summary>
internal static class EmittedWorkloads
{
    private static readonly ConstructorInfo BaseConstructor = typeof(NamedWorkload).GetConstructor(
        BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Instance,
        [typeof(string)]
    )!;

    /// <summary>An assembly with a public class for every name, whose constructor says that name.</summary>
    public static string Write(string directory, string assembly, params string[] names)
    {
        var builder = Create(assembly, out var module);
        foreach (var name in names)
            Define(module, name, TypeAttributes.Public, BaseConstructor, name);
        return Save(builder, directory, assembly);
    }

    /// <summary>An assembly whose workload derives from one in another assembly, which is written beside it.</summary>
    public static string WriteWithDependency(string directory, string assembly, string dependency, string name)
    {
        var other = Create(dependency, out var otherModule);
        var parent = Define(otherModule, "parent", TypeAttributes.Public, BaseConstructor, name);
        Save(other, directory, dependency);

        var builder = Create(assembly, out var module);
        Define(module, "child", TypeAttributes.Public, parent, argument: null);
        return Save(builder, directory, assembly);
    }

    /// <summary>An assembly whose only subclass of Workload is abstract.</summary>
    public static string WriteAbstract(string directory, string assembly)
    {
        var builder = Create(assembly, out var module);
        Define(module, "abstract", TypeAttributes.Public | TypeAttributes.Abstract, BaseConstructor, "abstract");
        return Save(builder, directory, assembly);
    }

    /// <summary>An assembly whose workload throws when it is made.</summary>
    public static string WriteBroken(string directory, string assembly) => WriteDerived(directory, assembly, typeof(BrokenWorkload));

    /// <summary>An assembly whose workloads derive from classes of these tests with parameterless constructors, and have their
    /// names.</summary>
    public static string WriteDerived(string directory, string assembly, params Type[] parentTypes)
    {
        var builder = Create(assembly, out var module);
        foreach (var type in parentTypes)
        {
            var parent = type.GetConstructor(BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Instance, [])!;
            Define(module, type.Name, TypeAttributes.Public, parent, argument: null);
        }
        return Save(builder, directory, assembly);
    }

    private static PersistedAssemblyBuilder Create(string assembly, out ModuleBuilder module)
    {
        var builder = new PersistedAssemblyBuilder(new AssemblyName(assembly), typeof(object).Assembly);
        module = builder.DefineDynamicModule(assembly);
        return builder;
    }

    private static ConstructorBuilder Define(
        ModuleBuilder module,
        string name,
        TypeAttributes attributes,
        ConstructorInfo baseConstructor,
        string? argument
    )
    {
        var type = module.DefineType($"Mine.{name}", attributes, baseConstructor.DeclaringType);
        var constructor = type.DefineConstructor(MethodAttributes.Public, CallingConventions.Standard, Type.EmptyTypes);
        var il = constructor.GetILGenerator();
        il.Emit(OpCodes.Ldarg_0);
        if (argument is not null)
            il.Emit(OpCodes.Ldstr, argument);
        il.Emit(OpCodes.Call, baseConstructor);
        il.Emit(OpCodes.Ret);
        type.CreateType();
        return constructor;
    }

    private static string Save(PersistedAssemblyBuilder builder, string directory, string assembly)
    {
        var path = Path.Combine(directory, assembly + ".dll");
        builder.Save(path);
        return path;
    }
}
