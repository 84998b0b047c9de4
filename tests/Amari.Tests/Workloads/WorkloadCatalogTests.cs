using System.Runtime.Loader;
using Amari.Tests.Training;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

public sealed class WorkloadCatalogTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Built_in_workloads_are_found_by_name()
    {
        Assert.Equal(
            [
                "digits-mlp",
                "digits-softmax",
                "digits-conv",
                "diabetes-mlp",
                "autoencoder",
                "autoencoder-sigmoid",
                "fashion-conv",
                "char-transformer",
                "poisson",
                "heat",
                "burgers",
                "monge-ampere",
                "poisson-5d",
                "nist",
            ],
            WorkloadCatalog.All.Select(w => w.Name)
        );
        Assert.All(WorkloadCatalog.All, w => Assert.Same(w, WorkloadCatalog.Find(w.Name, null)));
        Assert.Equal("digits-mlp", WorkloadCatalog.Find(null, null).Name);
    }

    [Fact]
    public void An_unknown_name_lists_the_known_ones() =>
        Fails(
            "nope",
            null,
            "'nope'",
            "digits-mlp, digits-softmax, digits-conv, diabetes-mlp, autoencoder, autoencoder-sigmoid, fashion-conv, char-transformer, "
                + "poisson, heat, burgers, monge-ampere, poisson-5d, nist"
        );

    [Fact]
    public void The_only_workload_of_an_assembly_needs_no_name()
    {
        var path = EmittedWorkloads.Write(folder.Path, "One", "mine");
        Assert.Equal("mine", WorkloadCatalog.Find(null, path).Name);
        Assert.Equal("mine", WorkloadCatalog.Find("mine", path).Name);
        Fails("digits-mlp", path, "'digits-mlp'", "mine");
    }

    [Fact]
    public void Several_workloads_of_an_assembly_are_chosen_from_by_name()
    {
        var path = EmittedWorkloads.Write(folder.Path, "Two", "first", "second");
        Assert.Equal("second", WorkloadCatalog.Find("second", path).Name);
        Fails(null, path, path, "several", "first", "second");
        Fails("third", path, "'third'", "first", "second");
    }

    [Fact]
    public void A_workload_shares_host_types_and_brings_its_dependencies()
    {
        var path = EmittedWorkloads.WriteWithDependency(folder.Path, "Child", "Parent", "derived");

        var workload = WorkloadCatalog.Find(null, path);

        Assert.Equal("derived", workload.Name);
        Assert.IsType<NamedWorkload>(workload, exactMatch: false);
        using var model = workload.CreateModel();
        Assert.IsType<Identity>(model);
        var context = AssemblyLoadContext.GetLoadContext(workload.GetType().Assembly)!;
        Assert.NotSame(AssemblyLoadContext.Default, context);
        Assert.Same(context, AssemblyLoadContext.GetLoadContext(workload.GetType().BaseType!.Assembly));
    }

    /// <summary>As <c>dotnet build</c> copies them. The base of the workload is the copy's own, and derives from the tool's type.</summary>
    [Fact]
    public void Copies_of_the_tools_assemblies_next_to_a_workload_are_not_used()
    {
        var path = EmittedWorkloads.Write(folder.Path, "Whole", "mine");
        foreach (var type in (Type[])[typeof(Workload), typeof(Optimizer), typeof(Tensor), typeof(NamedWorkload)])
            File.Copy(type.Assembly.Location, folder.File(Path.GetFileName(type.Assembly.Location)));

        var workload = WorkloadCatalog.Find(null, path);

        var parent = workload.GetType().BaseType!;
        Assert.Equal(folder.File("Amari.Tests.dll"), parent.Assembly.Location);
        Assert.Same(typeof(Workload), parent.BaseType);
        Assert.IsType<Gaussian>(workload.Likelihood);
        using var model = workload.CreateModel();
        Assert.IsType<Identity>(model);
        var context = AssemblyLoadContext.GetLoadContext(parent.Assembly)!;
        Assert.DoesNotContain(context.Assemblies, a => a.GetName().Name is "Amari" or "Amari.Workbench" or "TorchSharp");
    }

    [Fact]
    public void A_dependency_named_like_a_hosts_is_its_own()
    {
        var hosts = typeof(CsCheck.Gen).Assembly;
        var path = EmittedWorkloads.WriteWithDependency(folder.Path, "Clash", hosts.GetName().Name!, "derived");
        Assert.NotSame(hosts, WorkloadCatalog.Find(null, path).GetType().BaseType!.Assembly);
    }

    [Fact]
    public void A_dependency_that_is_missing_is_named()
    {
        var path = EmittedWorkloads.WriteWithDependency(folder.Path, "Orphan", "Gone", "derived");
        File.Delete(folder.File("Gone.dll"));
        Fails(null, path, path, "Gone");
    }

    [Fact]
    public void A_path_relative_to_the_current_directory_will_do()
    {
        var path = EmittedWorkloads.Write(folder.Path, "Relative", "near");
        Assert.Equal("near", WorkloadCatalog.Find(null, Path.GetRelativePath(Environment.CurrentDirectory, path)).Name);
    }

    [Fact]
    public void An_assembly_without_workloads_is_refused()
    {
        Fails(null, EmittedWorkloads.Write(folder.Path, "Empty"), "has no workload", "parameterless constructor");
        Fails(null, EmittedWorkloads.WriteAbstract(folder.Path, "Abstract"), "has no workload");
    }

    [Fact]
    public void A_workload_that_cannot_be_made_says_why_in_one_line()
    {
        var path = EmittedWorkloads.WriteBroken(folder.Path, "Broken");
        Fails(null, path, path, "cannot be used", "first line second line");
    }

    [Fact]
    public void One_that_cannot_be_used_leaves_the_others()
    {
        Type[] parents = [typeof(BrokenWorkload), typeof(NamelessWorkload), typeof(SilentWorkload), typeof(EmptyWorkload)];
        var path = EmittedWorkloads.WriteDerived(folder.Path, "Mixed", parents);
        Assert.Equal("silent", WorkloadCatalog.Find("silent", path).Name);
        Assert.Equal("empty", WorkloadCatalog.Find("empty", path).Name);
        Fails(null, path, "choose one of silent, empty.");
    }

    [Fact]
    public void Two_classes_of_one_name_are_refused_by_that_name()
    {
        Type[] parents = [typeof(SilentWorkload), typeof(SecondSilentWorkload), typeof(EmptyWorkload)];
        var path = EmittedWorkloads.WriteDerived(folder.Path, "Twice", parents);
        Assert.Equal("empty", WorkloadCatalog.Find("empty", path).Name);
        Fails(
            "silent",
            path,
            $"The workload 'silent' of '{path}' is Mine.SilentWorkload and Mine.SecondSilentWorkload; each class needs a Name of its own."
        );
    }

    [Theory]
    [InlineData("../../evil/name"), InlineData(""), InlineData(".."), InlineData("a b"), InlineData("a/b"), InlineData("-a")]
    public void A_name_that_is_no_part_of_a_path_is_refused(string name)
    {
        var path = EmittedWorkloads.Write(folder.Path, "Evil", name);
        Fails(null, path, $"The workload Mine.{name} of '{path}' cannot be used: its Name is '{name}'; it must have only letters");
    }

    [Fact]
    public void A_member_that_is_null_is_named()
    {
        var nameless = EmittedWorkloads.WriteDerived(folder.Path, "Nameless", typeof(NamelessWorkload));
        Fails(null, nameless, "The workload Mine.NamelessWorkload of", "its Name is null; it must");
        var unlikely = EmittedWorkloads.WriteDerived(folder.Path, "Unlikely", typeof(UnlikelyWorkload));
        Fails(null, unlikely, "The workload unlikely cannot be used: Mine.UnlikelyWorkload.Likelihood returned null.");
        var workload = WorkloadCatalog.Find(null, EmittedWorkloads.WriteDerived(folder.Path, "Dataless", typeof(DatalessWorkload)));
        Assert.Equal(
            "The workload dataless cannot be used: Mine.DatalessWorkload.Load returned null.",
            Assert.Throws<ArgumentException>(() => new Amari.Training.Trainer(workload, null)).Message
        );
    }

    [Fact]
    public void What_is_no_assembly_is_refused()
    {
        Fails(null, folder.File("none.dll"), "none.dll");
        Fails(null, folder.Path, folder.Path);

        File.WriteAllText(folder.File("text.dll"), "not an assembly");
        Fails(null, folder.File("text.dll"), "cannot be loaded");
        File.WriteAllBytes(folder.File("empty.dll"), []);
        Fails(null, folder.File("empty.dll"), "cannot be loaded");

        var whole = File.ReadAllBytes(EmittedWorkloads.Write(folder.Path, "Whole", "mine"));
        File.WriteAllBytes(folder.File("half.dll"), whole[..(whole.Length / 2)]);
        Fails(null, folder.File("half.dll"), "cannot be loaded");
    }

    private static void Fails(string? name, string? path, params string[] parts)
    {
        var e = Assert.Throws<ArgumentException>(() => WorkloadCatalog.Find(name, path));
        Assert.All(parts, part => Assert.Contains(part, e.Message));
        Assert.DoesNotContain('\n', e.Message);
    }
}
