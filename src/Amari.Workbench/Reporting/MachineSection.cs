using Amari.Training;

namespace Amari.Reporting;

/// <summary>The section of a page about how and where its results were made.</summary>
internal static class MachineSection
{
    private const int CommitDigits = 12;

    /// <summary>Adds the section.</summary>
    /// <param name="page">The page.</param>
    /// <param name="provenances">One for each result, with its name; without any, this machine is described.</param>
    public static void AddTo(HtmlPage page, IReadOnlyList<(string Name, Provenance Provenance)> provenances)
    {
        page.Add("<h2>Machine</h2>\n");
        if (provenances.Count == 0)
        {
            page.Add($"<p>{HtmlPage.Text(Describe(Machine.Current))}, {HtmlPage.Text(Threads(torch.get_num_threads()))}.</p>\n");
            return;
        }
        var columns = provenances.Select(p => Rows(p.Provenance).ToList()).ToList();
        page.Table(
            "Machine",
            ["property", .. provenances.Select(p => p.Name)],
            columns[0].Select((row, i) => (IReadOnlyList<string>)[row.Name, .. columns.Select(c => HtmlPage.Text(c[i].Value))])
        );
    }

    private static IEnumerable<(string Name, string Value)> Rows(Provenance provenance)
    {
        var first = provenance.First;
        yield return ("command", first.CommandLine);
        yield return ("Amari", VersionOf(first));
        yield return ("started", ProvenanceJson.Time(first.Started));
        yield return (
            "continued",
            provenance.Continued.Count == 0 ? "no" : string.Join("; ", provenance.Continued.Select(c => Continuation(first, c)))
        );
        yield return ("seeds", string.Join(", ", provenance.Seeds));
        yield return ("machine", Describe(first.Machine));
        yield return ("threads", Threads(first.Threads) + (first.Ranks > 1 ? $" in each of {first.Ranks} processes" : ""));
    }

    /// <summary>A later start: its time, and what differs from the first.</summary>
    private static string Continuation(ProgramStart first, ProgramStart later) =>
        ProvenanceJson.Time(later.Started)
        + (VersionOf(later) == VersionOf(first) ? "" : $" with {VersionOf(later)}")
        + (later.Threads == first.Threads ? "" : $" with {Threads(later.Threads)}")
        + (Describe(later.Machine) == Describe(first.Machine) ? "" : $" on another machine ({Describe(later.Machine)})");

    private static string VersionOf(ProgramStart start) => start.Version + (start.Commit is { } commit ? $", commit {Short(commit)}" : "");

    private static string Short(string commit) => commit.Length > CommitDigits ? commit[..CommitDigits] : commit;

    private static string Describe(Machine machine) =>
        $"{machine.Processor}, {machine.CoresInWords}"
        + (machine.InstructionSets.Count > 0 ? $" with {string.Join(", ", machine.InstructionSets)}" : "")
        + $"; {machine.System}, {machine.Runtime}"
        + (machine.LibTorch is { } libtorch ? $", libtorch {libtorch}" : "");

    private static string Threads(int threads) => FormattableString.Invariant($"{threads} thread{(threads == 1 ? "" : "s")}");
}
