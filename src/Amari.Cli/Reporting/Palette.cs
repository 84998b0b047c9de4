namespace Amari.Cli.Reporting;

/// <summary>One colour an optimizer, the same in every figure: Okabe and Ito's, then Tol's, told apart by colour-blind eyes too.</summary>
internal static class Palette
{
    private static readonly string[] Known =
        ["sgd", "adam", "adamw", "lion", "kfac", "natural-gradient", "newton", "newton-cg", "hessian-free", "saddle-free-newton"];
    private static readonly string[] Colors =
        ["#E69F00", "#CC79A7", "#0072B2", "#009E73", "#D55E00", "#56B4E9", "#000000", "#882255", "#44AA99", "#999933", "#332288", "#AA4499", "#DDCC77"];

    public static string Of(string optimizer)
    {
        int index = Array.IndexOf(Known, optimizer);
        return Colors[index >= 0 ? index : Known.Length + optimizer.Sum(c => c) % (Colors.Length - Known.Length)];
    }
}
