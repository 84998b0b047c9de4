using System.Globalization;
using System.Text;
using Amari.Curvature;

namespace Amari.Verification;

/// <summary>The findings of <see cref="Verifier"/>. Prints as a table of agreeing digits, one row per parameter, followed by the findings
/// in words.</summary>
/// <param name="Checks">All checks.</param>
/// <param name="Approximations">The distance of each K-FAC block from the dense Fisher block. It is not an error, but the part that the
/// factorisation omits.</param>
/// <param name="Coverage">The parameters that K-FAC preconditions, and the reason for the others.</param>
public sealed record VerificationReport(IReadOnlyList<Check> Checks, IReadOnlyList<Approximation> Approximations, Coverage Coverage)
{
    private const int Named = 2; // columns with the name and the shape of a parameter

    private static readonly (string Head, string Prefix)[] Columns =
    [
        ("gradient", "gradient"),
        ("Hv", "hessian product"),
        ("GGN", "gauss-newton product"),
        ("Fisher", "fisher product (exact)"),
        ("empirical", "fisher product (empirical)"),
        ("draws", "fisher product (monte-carlo)"),
        ("J", "jacobian"),
        ("J'Jv", "normal product"),
        ("capture", "k-fac capture"),
        ("factors", "k-fac factors"),
        ("inverse", "k-fac inverse"),
        ("step", "k-fac step"),
    ];

    /// <summary>The likelihood's name.</summary>
    public required string Likelihood { get; init; }

    /// <summary>Number of examples.</summary>
    public required long Examples { get; init; }

    /// <summary>C: outputs of a term; 0 where the model does not run in float64.</summary>
    public required long Outputs { get; init; }

    /// <summary>Their mean loss in float64; NaN where the model does not run in it.</summary>
    public required double Loss { get; init; }

    /// <summary>The trainable parameters, with their shapes.</summary>
    public required IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> Parameters { get; init; }

    /// <summary>Whether no check failed and every quantity could be computed. Inconclusive checks do not count as failures.</summary>
    public bool Passed => Checks.All(c => c.Outcome is not (CheckOutcome.Failed or CheckOutcome.Unavailable));

    /// <inheritdoc/>
    public override string ToString() => ToString(int.MaxValue);

    /// <summary>The text with the table in parts below one another if it is wider; other lines are as they are.</summary>
    /// <param name="width">Columns of the console.</param>
    internal string ToString(int width)
    {
        var text = new StringBuilder();
        var culture = CultureInfo.InvariantCulture;
        text.AppendLine(
            culture,
            $"{Examples} examples in float64, {Likelihood} likelihood{(double.IsNaN(Loss) ? "" : $" with {Outputs} outputs")}, "
                + $"{Parameters.Sum(p => p.Shape.Aggregate(1L, (a, b) => a * b)):N0} parameters"
                + $"{(double.IsNaN(Loss) ? "" : string.Create(culture, $", mean loss {Loss:G4}"))}"
        );
        text.AppendLine();
        Table(text, width);
        text.AppendLine();
        Agreements(text);
        Findings(text);

        if (Approximations.Count > 0)
            text.AppendLine()
                .AppendLine(
                    culture,
                    $"Approximations by design: K-FAC's block A ⊗ G against the dense "
                        + $"{Approximations[0].Fisher.ToString().ToLowerInvariant()} Fisher block of these examples, ‖A ⊗ G - F‖ / ‖F‖:"
                )
                .AppendLine(
                    $"  " + string.Join(", ", Approximations.Select(a => string.Create(culture, $"{a.Layer} {a.RelativeError:G2}")))
                );
        var unsupported = Coverage.Rows.Where(r => r.Block == nameof(AdamW)).ToList();
        if (Coverage.Rows.Count > 0)
            text.AppendLine()
                .AppendLine(
                    unsupported.Count == 0
                        ? "Unsupported: none; K-FAC has a block for every parameter."
                        : "Unsupported by K-FAC, trained by AdamW:"
                );
        foreach (var row in unsupported)
            text.AppendLine(culture, $"  {row.Parameter}: {row.Reason}");
        text.AppendLine().AppendLine(Verdict());
        return text.ToString();
    }

    /// <summary>Lists the checks that failed, are inconclusive or unavailable, or ran at perturbed weights.</summary>
    private void Findings(StringBuilder text)
    {
        var culture = CultureInfo.InvariantCulture;
        foreach (var (outcome, title) in new[] { (CheckOutcome.Failed, "Failed"), (CheckOutcome.Inconclusive, "Inconclusive") })
        {
            var found = Checks.Where(c => c.Outcome == outcome).GroupBy(c => (c.Name, c.Note, c.Oracle)).ToList();
            if (found.Count > 0)
                text.AppendLine().AppendLine(culture, $"{title}:");
            foreach (var g in found)
                text.AppendLine(
                    culture,
                    $"  {g.Key.Name} of {string.Join(", ", g.Select(c => c.Parameter).Distinct())}: "
                        + $"{Distance([.. g], g.Key.Oracle)}{Capitalised(g.Key.Note)}."
                );
        }
        var unavailable = Checks.Where(c => c.Outcome == CheckOutcome.Unavailable).GroupBy(c => c.Note).ToList();
        if (unavailable.Count > 0)
            text.AppendLine().AppendLine("Cannot be computed for this model:");
        foreach (var g in unavailable)
            text.AppendLine(culture, $"  {string.Join(", ", g.Select(c => c.Name))}: {Capitalised(g.Key)}.");
        var moved = Checks
            .Where(c => c.Outcome == CheckOutcome.Passed && c.Note.Contains("differentiable", StringComparison.Ordinal))
            .ToList();
        if (moved.Count > 0)
            text.AppendLine()
                .AppendLine(culture, $"Note: {string.Join(", ", moved.GroupBy(c => c.Name).Select(Subjects))}: {moved[0].Note}.");
    }

    /// <summary>Lists the agreeing checks with their oracle and the minimum number of digits.</summary>
    private void Agreements(StringBuilder text)
    {
        var groups = Checks.GroupBy(c => c.Name).Where(g => g.Any(c => c.Outcome == CheckOutcome.Passed)).ToList();
        if (groups.Count == 0)
            return;
        int width = groups.Max(g => g.Key.Length) + 2;
        text.AppendLine("Agrees:");
        foreach (var g in groups)
        {
            var passed = g.Where(c => c.Outcome == CheckOutcome.Passed).ToList();
            string share = passed.Count == g.Count() ? "" : $" ({passed.Count} of {g.Count()})";
            text.AppendLine(
                IsStatistical(g.Key)
                    ? $"  {g.Key.PadRight(width)}with {passed[0].Oracle}{share}: "
                        + $"{(passed.Count == 1 ? passed[0].Note : "every parameter within its standard error")}"
                    : $"  {g.Key.PadRight(width)}to {passed.Min(c => c.Digits)} digits or more with "
                        + $"{string.Join(" or ", passed.Select(c => c.Oracle).Distinct())}{share}"
            );
        }
    }

    private static bool IsStatistical(string name) => name is "likelihood samples" or "fisher product (monte-carlo)";

    private string Verdict()
    {
        int passed = Checks.Count(c => c.Outcome == CheckOutcome.Passed),
            failed = Checks.Count(c => c.Outcome == CheckOutcome.Failed);
        int missing = Checks.Count(c => c.Outcome == CheckOutcome.Unavailable),
            open = Checks.Count - passed - failed - missing;
        return failed == 0 && missing > 0 ? $"{passed} checks agree; quantities that cannot be computed for this model are not verified."
            : failed > 0 ? $"{failed} of {Checks.Count} checks failed: do not trust the curvature of this model yet."
            : $"All {passed} checks agree" + (open > 0 ? $"; {open} are inconclusive." : ".");
    }

    /// <summary>Agreeing digits of each parameter for each kind of check; the smaller number if there are two.</summary>
    private void Table(StringBuilder text, int width)
    {
        var heads = Columns.Where(c => Checks.Any(k => k.Name.StartsWith(c.Prefix, StringComparison.Ordinal))).ToList();
        var rows = Parameters
            .Select(p =>
                (string[])
                    [
                        p.Name,
                        $"[{string.Join(", ", p.Shape)}]",
                        .. heads.Select(h =>
                            Cell([
                                .. Checks.Where(c =>
                                    c.Name.StartsWith(h.Prefix, StringComparison.Ordinal)
                                    && (c.Parameter == p.Name || IsLayerOf(c.Parameter, p.Name))
                                ),
                            ])
                        ),
                    ]
            )
            .ToList();
        rows.Insert(0, ["agreeing digits", "", .. heads.Select(h => h.Head)]);
        int[] widths = [.. rows[0].Select((_, i) => rows.Max(r => r[i].Length) + 2)];
        for (int start = Named, count; start < widths.Length; start += count)
        {
            for (count = 1; start + count < widths.Length && widths[..Named].Sum() + widths[start..(start + count + 1)].Sum() <= width; )
                count++;
            foreach (var row in rows)
            {
                for (int i = 0; i < Named; i++)
                    text.Append(row[i].PadRight(widths[i]));
                for (int i = start; i < start + count; i++)
                    text.Append(row[i].PadLeft(widths[i]));
                text.AppendLine();
            }
        }
        text.AppendLine("(draws: ok if the Monte Carlo Fisher is within its standard error; ! failed, ? inconclusive, - not applicable)");
    }

    private static bool IsLayerOf(string layer, string parameter) =>
        parameter.LastIndexOf('.') is var dot and > 0 && parameter[..dot] == layer;

    private static string Cell(IReadOnlyList<Check> checks)
    {
        if (checks.Count == 0)
            return "-";
        int digits = checks.Min(c => c.Digits);
        string number = IsStatistical(checks[0].Name) ? "ok" : digits.ToString(CultureInfo.InvariantCulture);
        return checks.Any(c => c.Outcome == CheckOutcome.Failed) ? "!" + digits.ToString(CultureInfo.InvariantCulture)
            : checks.Any(c => c.Outcome == CheckOutcome.Inconclusive) ? "?"
            : number;
    }

    private static string Distance(IReadOnlyList<Check> checks, string? oracle) =>
        checks.Any(c => double.IsNaN(c.RelativeError))
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $"off {oracle} by {checks.Max(c => c.RelativeError):G2} (relative). ");

    private static string Subjects(IGrouping<string, Check> checks) =>
        $"{checks.Key} of {string.Join(", ", checks.Select(c => c.Parameter))}";

    private static string Capitalised(string sentence) =>
        sentence.Length == 0 ? sentence : char.ToUpperInvariant(sentence[0]) + sentence[1..];
}
