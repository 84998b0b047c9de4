namespace Amari.Tests.Architecture;

/// <summary>The floors of each house: a type uses types of its own folder and of folders below. See CONTRIBUTING.</summary>
public sealed class FloorTests
{
    private static readonly string[][] Library =
    [
        ["Native"],
        ["Serialization", "Kernels", "Likelihoods"],
        ["Solvers"],
        ["Spectrum", "Distributed", "Jets"],
        ["Curvature"],
        ["Kronecker", "LeastSquares"],
        ["Optimizers"],
        ["Kfac", "SecondOrder"],
        ["Partitioned", "Verification"],
    ];

    private static readonly string[][] Workbench =
    [
        ["Workloads"],
        ["Training"],
        ["Reporting"],
    ];

    private static readonly string[][] Tool =
    [
        ["Lecture"],
        ["Commands"],
    ];

    [Fact]
    public void No_type_of_the_library_uses_one_of_a_floor_above() => Assert.Empty(Broken(typeof(Kfac), "src/Amari", Library));

    [Fact]
    public void No_type_of_the_workbench_uses_one_of_a_floor_above() =>
        Assert.Empty(Broken(typeof(Amari.Training.Trainer), "src/Amari.Workbench", Workbench));

    [Fact]
    public void No_type_of_the_tool_uses_one_of_a_floor_above() =>
        Assert.Empty(Broken(typeof(Amari.Cli.Commands.Interrupt), "src/Amari.Cli", Tool));

    /// <summary><c>UP Type &gt; Type</c> for each use of a floor above, and of another folder of the same floor.</summary>
    private static IEnumerable<string> Broken(Type ofAssembly, string project, string[][] floors)
    {
        var references = new TypeReferences(ofAssembly.Assembly.Location, project);
        var floor = floors.SelectMany((folders, i) => folders.Select(f => (Folder: f, Floor: i))).ToDictionary(f => f.Folder, f => f.Floor);
        Assert.Equal(floor.Keys.Order(StringComparer.Ordinal), references.Folders.Values.Distinct().Order(StringComparer.Ordinal));
        Assert.True(references.Uses.Count() > references.Folders.Count, "hardly any uses were found");
        return references
            .Uses.Select(u => (u.From, u.To, Folder: references.Folders[u.From], Used: references.Folders[u.To]))
            .Where(u => u.Folder != u.Used && floor[u.Folder] <= floor[u.Used])
            .Select(u => $"UP {u.From} > {u.To}")
            .Order(StringComparer.Ordinal);
    }
}
