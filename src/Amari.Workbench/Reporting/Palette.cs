using Amari.Training;

namespace Amari.Reporting;

/// <summary>Colors of optimizers: Okabe and Ito's, then Tol's, which colorblind readers can distinguish.</summary>
internal static class Palette
{
    private const string RoutedPrefix = "routed-";
    private static readonly string[] Known =
    [
        "sgd",
        "adam",
        "adamw",
        "lion",
        "kfac",
        "natural-gradient",
        "newton",
        "newton-cg",
        "hessian-free",
        "saddle-free-newton",
        "muon",
        "soap",
        "shampoo",
        "schedulefree-adamw",
        "ekfac",
        "levenberg-marquardt",
        "gauss-newton",
    ];
    private static readonly string[] Colors =
    [
        "#E69F00",
        "#CC79A7",
        "#0072B2",
        "#009E73",
        "#D55E00",
        "#56B4E9",
        "#000000",
        "#882255",
        "#44AA99",
        "#999933",
        "#332288",
        "#AA4499",
        "#DDCC77",
        "#CC6677",
        "#661100",
        "#117733",
        "#6699CC",
    ];

    /// <summary>The color of a well-known optimizer, the same in every figure.</summary>
    public static string Of(string optimizer) => Colors[Array.IndexOf(Known, optimizer)];

    /// <summary>The colors of optimizers that are shown together. Well-known ones have fixed colors; a routed method has that of its matrix
    /// optimizer, unless both are shown. The others get the remaining colors in order. Colors repeat only if there are too few.</summary>
    public static IReadOnlyDictionary<string, string> Of(IEnumerable<string> optimizers)
    {
        var names = optimizers.Distinct().ToList();
        var own = names
            .Select(n => (Name: n, Color: names.Contains(Routed(n)) && Routed(n) != n ? n : Routed(n)))
            .Where(n => Known.Contains(n.Color))
            .ToDictionary(n => n.Name, n => Of(n.Color));
        string[] left = own.Values.Distinct().Count() < Colors.Length ? [.. Colors.Except(own.Values)] : Colors;
        return names.Except(own.Keys).Select((name, i) => KeyValuePair.Create(name, left[i % left.Length])).Concat(own).ToDictionary();
    }

    private static string Routed(string optimizer) =>
        optimizer.StartsWith(RoutedPrefix, StringComparison.Ordinal) ? optimizer[RoutedPrefix.Length..] : optimizer;

    /// <summary>The colors of a comparison, the same in all its figures.</summary>
    public static IReadOnlyDictionary<string, string> Of(BenchmarkResult comparison) => Of(comparison.Runs.Select(r => r.Optimizer));
}
