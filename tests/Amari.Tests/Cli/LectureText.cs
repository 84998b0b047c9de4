using System.Text.RegularExpressions;
using Amari.Cli.Lecture;
using Amari.Reporting;

namespace Amari.Tests.Cli;

/// <summary>What <c>docs/lecture.md</c> says of an item, and what it must say given the item's result with seed 0.</summary>
internal static partial class LectureText
{
    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    /// <summary>The section of an item.</summary>
    public static string Section(string id)
    {
        string[] parts = Regex.Split(LecturePage.Source, "^#+ ", RegexOptions.Multiline);
        return Spaces().Replace(parts.Single(p => p.StartsWith(id + ": ", StringComparison.Ordinal)), " ");
    }

    /// <summary>The phrases of the section with numbers that do not depend on times.</summary>
    public static IEnumerable<string> Phrases(string id, LectureResult result) =>
        (
            id switch
            {
                "M1" => M1(result),
                "M2" => M2(result),
                "M2a" => [$"memory grows as $d^{{{Value(result, "exponent in d of the Hessian's memory"):F2}}}$"],
                "M2b" => [$"from {Value(result, "linear network, 10 starts: at the saddle with Newton")} of 10 starts"],
                "M2c" => [$"is {Cell(result, 0, "Newton, λ = 0.001: spread", 6) / Cell(result, 0, "gradient: spread", 6):F1} times"],
                "M3b" => M3b(result),
                "M3c" => M3c(result),
                "M4" => M4(result),
                "M5" =>
                [
                    $"| {Range(Quarters(result, 2))[..^2].Replace("-", " to ", StringComparison.Ordinal)} % of each |",
                    $"| {100 * Quarters(result, 1)[0]:F0} %, {100 * Quarters(result, 1)[^1]:F0} % |",
                ],
                "E1" => E1(result),
                "E3" =>
                [
                    $"= {Value(result, "AdamW moves 0.1 x 0.5 / 0.1"):G4} \\\\",
                    $"\\operatorname{{sign}}({Value(result, "Lion's c = sign(0.9 m + 0.1 g), argument"):G4}) = 1",
                    $"\\eta\\, c = {Value(result, "Lion moves its learning rate"):G4}",
                    $"0.05$ it is {Step(result, 1):G4}, with $\\sqrt v = 0.2$ it is {Step(result, 2):G4}",
                ],
                "D1" => D1(result),
                "D2" => [$"it is {100 * Cell(result, 0, "A x G of the data's delta against the dense empirical block", 1):F0} % off"],
                _ => (FormattableString[])[],
            }
        ).Select(FormattableString.Invariant);

    private static FormattableString[] M1(LectureResult result) =>
        [
            $"is after rank {Value(result, "rank after which the eigenvalues decrease most")}.",
            $"counts {Outliers(result) - Value(result, "rank after which the eigenvalues decrease most")} more",
            $"smallest eigenvalue of $H$ is {Number.Short((double)result.Tables[0].Rows[^1][2], 2)}",
            $"the smallest is {Number.Short(Value(result, "smallest eigenvalue of H + c I at the minimum"), 2)}",
            $"{100 * Value(result, "share of eigenvalues below 1 % of the largest"):F0} % of the eigenvalues are near 0",
            $"multiplies the distance by {Value(result, "factor per step on the network, lr = 0.95 x 2 / λ"):F3}.",
            $"by {Value(result, "factor per step on the network, lr = 1.05 x 2 / λ"):F3}.",
        ];

    private static double Outliers(LectureResult result) => Value(result, "outliers by the rule of the library, for 10 classes");

    private static FormattableString[] M2(LectureResult result)
    {
        double Digits(int step) => (double)result.Tables[0].Rows[step][2]; // step 7 ends at rounding
        return
        [
            $"Newton's steps 4 to 7 have {Digits(4):F1}, {Digits(5):F1}, {Digits(6):F1} and",
            $"order of convergence is {Value(result, "order of convergence, over the last steps before rounding"):F2}",
        ];
    }

    private static FormattableString[] M3b(LectureResult result)
    {
        double Ratio(double target, int column = 2) => (double)result.Tables[0].Rows.Single(r => (double)r[0] == target)[column];
        return
        [
            .. new[] { (1e-7, "1e-7"), (1e-4, "1e-4"), (3e-4, "3e-4"), (1e-3, "1e-3"), (0.1, "0.1"), (1.0, "1") }.Select(e =>
                (FormattableString)$"| {e.Item2} | {Ratio(e.Item1):F2} | {Ratio(e.Item1, 4):F2} |"
            ),
            $"{100 * (Ratio(1e-7, 4) - 1):F0} % too much, however small",
            $"is {(double)result.Tables[2].Rows[1][1]:F0} times as long as it is wide",
            $"by up to {100 * (double)result.Tables[2].Rows[1][2]:F0} %",
            $"it is {100 * (double)result.Tables[2].Rows[0][2]:F1} %",
            $"by {100 * Value(result, "the gradient's direction, over the theorem's"):F0} % as much",
            $"random directions by {100 * Value(result, "the best random direction, over the theorem's"):F0} %",
        ];
    }

    private static FormattableString[] M3c(LectureResult result)
    {
        double Order(string model) => Value(result, $"{model}: one natural step in two coordinate systems differs by O(lr^2), order");
        return
        [
            $"the measured orders are {Order("plane"):F2} and {Order("coin"):F2}",
            $"differ by {Value(result, "layers: distance of natural paths with damping"):F2}.",
        ];
    }

    private static FormattableString[] M4(LectureResult result)
    {
        double[] Of(string when, int column) =>
            [.. result.Tables[0].Rows.Where(r => ((string)r[0]).EndsWith(when, StringComparison.Ordinal)).Select(r => (double)r[column])];
        return
        [
            $"| K-FAC, trained network | {Range(Of("trained", 2))} | {Range(Of("trained", 5))} |",
            $"| the best Kronecker product, trained | {Range(Of("trained", 3))} |",
            $"| a diagonal, trained | {Range(Of("trained", 4))} | {Range(Of("trained", 6))} |",
            $"| K-FAC, fresh network | {100 * Of("start", 2).Min():F1} to {100 * Of("start", 2).Max():F0} %",
        ];
    }

    private static FormattableString[] E1(LectureResult result) =>
        [
            .. ((double[])[-4, 0, 4, 10]).Select(w =>
            {
                var row = result.Tables[0].Rows.Single(r => (double)r[0] == w);
                double p = (double)row[1],
                    fisher = (double)row[4],
                    gradient = (double)row[6];
                string[] shown = [Number.Short(p), .. ((double[])[fisher, gradient, gradient / fisher]).Select(v => Number.Short(v, 4))];
                return (FormattableString)$"| {w} | {string.Join(" | ", shown)} |";
            }),
        ];

    private static FormattableString[] D1(LectureResult result)
    {
        double first = Value(result, "KL trust region: achieved KL of the first step");
        return
        [
            $"$w = {Value(result, "the lecture's natural gradient after 1 step, w"):F0}$",
            $"at {Value(result, "gradient descent after 100 steps, w"):F2} after 100 steps",
            $"achieves {first:F3}, {1000 * first:F0} times the target",
            $"within {100 * Value(result, "KL trust region: largest |achieved / target - 1| between p = 0.9 and 0.1"):F0} % of the target",
            $"to {Number.Short(Value(result, "KL trust region: w after 100 steps (it runs away)"), 1)} after 100 steps",
        ];
    }

    private static double Step(LectureResult result, int row) => (double)result.Tables[0].Rows[row][3];

    private static double[] Quarters(LectureResult result, int column) => [.. result.Tables[1].Rows.Select(r => (double)r[column])];

    private static string Range(double[] shares) => FormattableString.Invariant($"{100 * shares.Min():F0}-{100 * shares.Max():F0} %");

    private static double Value(LectureResult result, string check) => result.Checks.Single(c => c.Name == check).Value;

    private static double Cell(LectureResult result, int table, string row, int column) =>
        (double)result.Tables[table].Rows.Single(r => row.Equals(r[0]))[column];
}
