using System.Text.Json.Nodes;

namespace Amari.Optimizers;

/// <summary>Optimizers, options and values under the names that states of the schemas 1 and 2 have for them.</summary>
internal static class EarlierNames
{
    private static readonly Dictionary<string, string> Types = new() { ["Routed"] = nameof(PartitionedOptimizer) };

    private static readonly Dictionary<string, string> Options = new()
    {
        ["Sharing"] = "WeightSharing",
        ["RejectRising"] = "StepRejection",
        ["AdaptDamping"] = "AdaptiveDamping",
        ["AdaptFactorDamping"] = "AdaptiveFactorDamping",
        ["InverseFraction"] = "GradWorkerFraction",
        ["FactorExamples"] = "FactorBatchSize",
        ["ModelExamples"] = "QuadraticModelBatchSize",
        ["IntervalGrowth"] = "RefreshWarmup",
        ["FactorDecay"] = "FactorEma",
        ["CurvatureBudget"] = "CurvatureTimeFraction",
        ["ProductPrecision"] = "MatmulPrecision",
        ["Matrices"] = "MatrixOptimizer",
        ["Rest"] = "Fallback",
        ["RestOnly"] = "FallbackOnly",
        ["LeastScale"] = "MinScale",
        ["Interpolation"] = "Beta1",
        ["StartStep"] = "StartPreconditioningStep",
    };

    private static readonly Dictionary<(string Option, string Value), string> Values = new()
    {
        [("Fisher", "InputOnly")] = nameof(FisherKind.ForwardOnly),
        [("InverseMethod", "LowRank")] = nameof(InverseOptions.Nystrom),
        [("InverseWork", "Shared")] = nameof(InverseWork.Broadcast),
        [("InverseWork", "Repeated")] = nameof(InverseWork.Replicated),
        [("StateFormat", "Blocks8")] = nameof(StateFormat.BlockwiseInt8),
    };

    /// <summary>An optimizer's name of today.</summary>
    public static string? TypeOf(string? saved) => saved is null ? null : Types.GetValueOrDefault(saved, saved);

    /// <summary>The options of today, named as <c>Outer.Inner</c>.</summary>
    /// <param name="options">Their record.</param>
    /// <param name="saved">As they were saved.</param>
    public static IReadOnlyDictionary<string, string> Update(Type options, IReadOnlyDictionary<string, string> saved)
    {
        var named = saved.Select(Rename).ToDictionary();
        if (HasSolver(options) && named.TryGetValue(Solver, out string? solver))
            foreach (var (name, place) in SolverPlaces(named[Solver] = SolverOf(solver)))
                if (named.Remove(name, out string? value) && place is not null)
                    named[$"{Solver}.{place}"] = value;
        if (options.DeclaringType?.Name == "Kfac")
            return KfacNames.Nested(named, "", isWhole: options.Name == "Options");
        return named.GetValueOrDefault("MatrixOptimizer") == "kfac" ? KfacNames.Nested(named, "MatrixOptimizer.", isWhole: true) : named;
    }

    private static KeyValuePair<string, string> Rename(KeyValuePair<string, string> option)
    {
        var parts = option.Key.Split('.').Select(p => Options.GetValueOrDefault(p, p)).ToList();
        return new(string.Join('.', parts), Values.GetValueOrDefault((parts[^1], option.Value), option.Value));
    }

    private const string Solver = "Solver",
        SolverBytes = "MaxDenseBytes";

    private static string SolverOf(string saved) => saved == "Dense" ? nameof(LinearSolver.Normal) : saved;

    /// <summary>Where the settings of a linear solver are today that were options beside it; null for those that it lacks.</summary>
    private static (string Name, string? Place)[] SolverPlaces(string kind)
    {
        const string Otherwise = nameof(LinearSolver.Automatic.Otherwise);
        bool iterates = kind == nameof(LinearSolver.ConjugateGradient);
        string? prefix =
            iterates ? ""
            : kind == nameof(LinearSolver.Automatic) ? Otherwise + "."
            : null;
        return
        [
            (SolverBytes, iterates ? null : SolverBytes),
            ("MaxIterations", prefix is null ? null : prefix + "MaxIterations"),
            ("Tolerance", prefix is null ? null : prefix + "Tolerance"),
        ];
    }

    private static bool HasSolver(Type options) => options.GetProperty(Solver)?.PropertyType == typeof(LinearSolver);

    /// <summary>The options of a linear solver as an object of their own.</summary>
    private static void NestSolver(JsonObject options)
    {
        if (options[Solver] is JsonObject)
            return;
        string now = SolverOf((string?)options[Solver] ?? nameof(LinearSolver.Automatic));
        JsonObject nested = new() { ["$type"] = now };
        foreach (var (name, place) in SolverPlaces(now))
        {
            if (!options.Remove(name, out var value))
                continue;
            if (place?.Split('.') is [var outer, var inner])
                (nested[outer] ??= new JsonObject()).AsObject()[inner] = value;
            else if (place is not null)
                nested[place] = value;
        }
        options[Solver] = nested;
    }

    /// <summary>Where an option may be today that was one of a flat record, and its value.</summary>
    /// <param name="name">Its name in lower case.</param>
    /// <param name="value">As it was written.</param>
    public static IEnumerable<(string Path, string Value)> Flat(string name, string value) => KfacNames.Flat(name, value);

    /// <summary>Options of today, nested ones too, in the place of those that a state was saved with.</summary>
    /// <param name="options">As they were saved.</param>
    /// <param name="type">Their record.</param>
    public static void Update(JsonObject options, Type type)
    {
        if (HasSolver(type))
            NestSolver(options);
        Update(options);
    }

    private static void Update(JsonObject options)
    {
        foreach (var (name, value) in options.ToList())
        {
            if (value is JsonObject inner)
                Update(inner);
            string now = Options.GetValueOrDefault(name, name);
            if (now != name)
            {
                options.Remove(name);
                options[now] = value;
            }
            if (value is JsonValue text && text.TryGetValue(out string? word) && Values.TryGetValue((now, word), out string? known))
                options[now] = known;
        }
    }
}
