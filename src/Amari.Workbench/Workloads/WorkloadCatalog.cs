using System.Reflection;
using System.Runtime.Loader;
using Amari.Native;

namespace Amari.Workloads;

/// <summary>The built-in workloads, and those of a user's assembly.</summary>
public static class WorkloadCatalog
{
    /// <summary>The built-in workloads; the first is the default.</summary>
    public static IReadOnlyList<Workload> All { get; } =
    [
        new DigitsMlp(),
        new DigitsSoftmax(),
        new DigitsConv(),
        new DiabetesMlp(),
        new Autoencoder(),
        new AutoencoderSigmoid(),
        new FashionConv(),
        new CharTransformer(),
        new PoissonEquation(),
        new HeatEquation(),
        new BurgersEquation(),
        new MongeAmpereEquation(),
        new Poisson5dEquation(),
        new Nist(),
    ];

    /// <summary>The workloads of <c>amari compare</c> without a name, and the budget of a run: a deep autoencoder, by its error on held-out
    /// digits; a small classifier, by its accuracy; and a regression on noisy data, where curvature has little to gain.</summary>
    internal static IReadOnlyList<(Workload Workload, Budget? Budget)> FirstComparison { get; } =
    [(new Autoencoder(), Budget.OfSeconds(5)), (new DigitsMlp(), Budget.OfSeconds(1)), (new DiabetesMlp(), Budget.OfSeconds(1))];

    /// <summary>A built-in workload by name, or one of an assembly.</summary>
    /// <param name="name">Null for the default, or for the only workload of an assembly.</param>
    /// <param name="assemblyPath">Null for the built-in workloads; otherwise a .dll with public classes derived from
    /// <see cref="Workload"/>.</param>
    /// <exception cref="ArgumentException">The workload or the assembly does not exist. The message lists the names.</exception>
    public static Workload Find(string? name, string? assemblyPath)
    {
        var all = assemblyPath is null ? All : FromAssembly(assemblyPath);
        if (name is null && (assemblyPath is null || all.Count == 1))
            return Required(all[0]);
        string names = string.Join(", ", all.Select(w => w.Name));
        if (name is null)
            throw new ArgumentException($"{assemblyPath} has several workloads; choose one of {names}.");
        var named = all.Where(w => w.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).ToList();
        return named.Count switch
        {
            1 => Required(named[0]),
            0 => throw new ArgumentException($"The workload is '{name}'; it must be one of {names}."),
            _ => throw new ArgumentException(
                $"The workload '{name}' of '{assemblyPath}' is {string.Join(" and ", named.Select(w => w.GetType().FullName))}; "
                    + "each class needs a Name of its own."
            ),
        };
    }

    /// <summary>The workload, whose members must exist.</summary>
    private static Workload Required(Workload workload)
    {
        workload.RequireMembers();
        return workload;
    }

    private static List<Workload> FromAssembly(string path)
    {
        string full = Path.GetFullPath(path);
        if (!File.Exists(full))
            throw new ArgumentException($"The file '{path}' does not exist.");
        try
        {
            var classes = new PluginContext(full)
                .LoadFromAssemblyPath(full)
                .GetExportedTypes()
                .Where(t => t.IsSubclassOf(typeof(Workload)) && !t.IsAbstract && t.GetConstructor(Type.EmptyTypes) is not null)
                .ToList();
            if (classes.Count == 0)
                throw new ArgumentException(
                    $"'{path}' has no workload: it needs a public class derived from {typeof(Workload).FullName} with a "
                        + "parameterless constructor."
                );
            return Made(classes, path);
        }
        catch (BadImageFormatException e)
        {
            throw new ArgumentException($"'{path}' cannot be loaded: it is damaged or not a .NET assembly.", e);
        }
        catch (Exception e) when (e is FileLoadException or FileNotFoundException or TypeLoadException)
        {
            throw new ArgumentException($"'{path}' cannot be loaded: {OneLine(e)}", e);
        }
    }

    private static string OneLine(Exception e) => e.Message.ReplaceLineEndings(" ").Trim();

    /// <summary>An object of each class. One that cannot be used is reported on standard error, if there are others.</summary>
    private static List<Workload> Made(List<Type> classes, string path)
    {
        List<Workload> made = [];
        List<string> faults = [];
        foreach (var type in classes)
            try
            {
                made.Add(Made(type));
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                faults.Add($"The workload {type.FullName} of '{path}' cannot be used: {OneLine(e.GetBaseException())}");
            }
        if (made.Count == 0)
            throw new ArgumentException(faults[0]);
        foreach (string fault in faults)
            Warnings.Once(fault);
        return made;
    }

    /// <summary>An object of a class. Its name is a part of paths and of command lines.</summary>
    private static Workload Made(Type type)
    {
        var workload = (Workload)Activator.CreateInstance(type)!;
        return
            workload.Name is [var first, ..] name
            && char.IsLetterOrDigit(first)
            && name.All(c => char.IsLetterOrDigit(c) || c is '-' or '_' or '.')
            ? workload
            : throw new ArgumentException(
                $"its {nameof(Workload.Name)} is {(workload.Name is { } wrong ? $"'{wrong}'" : "null")}; it must have only letters, "
                    + "digits, '-', '_' and '.', and begin with a letter or a digit."
            );
    }

    /// <summary>Resolves the assembly's own dependencies, managed and native. Only Amari and TorchSharp are shared with the program, so
    /// that workloads and tensors have the same types on both sides and versions of other libraries cannot conflict.</summary>
    private sealed class PluginContext(string path) : AssemblyLoadContext(path)
    {
        private static readonly Assembly[] Shared = [typeof(Workload).Assembly, typeof(Optimizer).Assembly, typeof(Tensor).Assembly];

        private readonly AssemblyDependencyResolver _resolver = new(path);

        // Null leaves the framework's assemblies to the program.
        protected override Assembly? Load(AssemblyName assemblyName) =>
            Shared.FirstOrDefault(a => a.GetName().Name == assemblyName.Name)
            ?? (_resolver.ResolveAssemblyToPath(assemblyName) is { } file ? LoadFromAssemblyPath(file) : null);

        protected override nint LoadUnmanagedDll(string unmanagedDllName) =>
            _resolver.ResolveUnmanagedDllToPath(unmanagedDllName) is { } file ? LoadUnmanagedDllFromPath(file) : 0;
    }
}
