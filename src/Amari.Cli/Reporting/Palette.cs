namespace Amari.Cli.Reporting;

/// <summary>One colour an optimizer, the same in every figure: Okabe and Ito's, told apart by colour-blind eyes too.</summary>
internal static class Palette
{
    private static readonly string[] Known = ["sgd", "adam", "adamw", "lion", "kfac"];
    private static readonly string[] Colors = ["#E69F00", "#CC79A7", "#0072B2", "#009E73", "#D55E00", "#56B4E9", "#F0E442", "#000000"];

    public static string Of(string optimizer)
    {
        int index = Array.IndexOf(Known, optimizer);
        return Colors[index >= 0 ? index : Known.Length + optimizer.Sum(c => c) % (Colors.Length - Known.Length)];
    }
}
