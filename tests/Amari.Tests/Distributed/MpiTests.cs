using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Distributed;
using Amari.Tests.Training;
using Amari.Training;

namespace Amari.Tests.Distributed;

/// <summary>Ranks under the installed MPI: collectives, training equal to one process, resume with another number of ranks,
/// failures.</summary>
[Collection(nameof(Processes))]
public sealed class MpiTests
{
    private const string Ranks = "Amari.Ranks",
        Tool = "Amari.Cli";

    [Theory, InlineData(2), InlineData(4)]
    public void Collectives_give_what_arithmetic_says(int ranks) =>
        Succeeds(MpiJob.Start(ranks, Ranks, "collectives"), $"done: {ranks} ranks");

    [Theory, InlineData("collectives"), InlineData("training")]
    public void Mpich_has_the_other_interface_and_the_same_results(string scenario) =>
        Succeeds(MpiJob.StartBy(Mpich(), 2, Ranks, scenario), "MPICH");

    [Theory, InlineData(2), InlineData(4)]
    public void Training_on_ranks_is_that_of_one_process(int ranks) =>
        Succeeds(MpiJob.Start(ranks, Ranks, "training"), $"done: {ranks} ranks");

    [Theory, InlineData(2), InlineData(3)]
    public void Draws_on_ranks_are_those_of_one_process(int ranks) => Succeeds(MpiJob.Start(ranks, Ranks, "draws"), $"done: {ranks} ranks");

    /// <summary>The defaults, in float32, over several hundred steps.</summary>
    [Theory, InlineData(2), InlineData(3)]
    public void Kfac_ends_on_ranks_where_one_process_does(int ranks)
    {
        using var folder = new TemporaryFolder();
        string[] Arguments(string name) =>
            [
                "compare",
                "digits-mlp",
                "--optimizers",
                "kfac,ekfac,routed-kfac",
                "--epochs",
                "40",
                "--seeds",
                "1",
                "--threads",
                "1",
                "--out",
                folder.File(name),
                "--json",
                folder.File(name + ".json"),
            ];
        Succeeds(MpiJob.Start(ranks, Tool, Arguments("ranks")), "Report:");
        Run(Arguments("one"));
        var pairs = Curves(folder.File("one.json")).Zip(Curves(folder.File("ranks.json"))).ToList();
        Assert.Equal(3, pairs.Count);
        Assert.All(pairs, p => Assert.InRange(p.Second[^1] / p.First[^1], 0.99, 1.01));
        // the first evaluation, after 11 steps; EKFAC makes more of rounding, in the null space of its factors
        foreach (var (index, tolerance) in ((int, double)[])[(0, 1e-5), (1, 1e-3), (2, 1e-5)])
            Assert.InRange(pairs[index].Second[1] / pairs[index].First[1], 1 - tolerance, 1 + tolerance);
    }

    [Fact]
    public void Every_optimizer_of_the_catalog_trains_as_one_process_does() => Succeeds(MpiJob.Start(2, Ranks, "catalog"), "done: 2 ranks");

    [Fact]
    public void A_rank_that_throws_ends_the_job_and_is_named()
    {
        var (code, text) = Fails(MpiJob.Start(3, Ranks, "endless", "60", "throw"));
        Assert.Single(Regex.Matches(text, "Rank 1 of 3 failed, the job ends: .*the data ended in the middle of a step"));
        Assert.NotEqual(0, code);
    }

    [Fact]
    public void A_rank_that_hangs_ends_the_job_and_is_named()
    {
        var (_, text) = Fails(MpiJob.Start(3, Ranks, "endless", "2", "hang"));
        Assert.Single(Regex.Matches(text, @"Rank \d of 3 waited 2 s in an all-reduce for rank 1; the job ends\."));
    }

    [Theory, InlineData(false), InlineData(true)]
    public void A_rank_that_is_killed_ends_the_job(bool mpich)
    {
        using var job = MpiJob.StartBy(mpich ? Mpich() : MpiJob.Need(), 3, Ranks, "endless", "5", "wait");
        using var victim = Process.GetProcessById(int.Parse(job.WaitFor("rank 1 is process "), CultureInfo.InvariantCulture));
        Thread.Sleep(300);
        victim.Kill();
        var (code, text) = job.Finish();
        Assert.NotEqual(0, code);
        Assert.Matches(@"process rank 1 .*Killed|BAD TERMINATION|for rank 1; the job ends", Regex.Replace(text, @"\s+", " "));
    }

    /// <summary>At the defaults, within 15 s of being stopped.</summary>
    [Theory, InlineData(0), InlineData(1)]
    public void A_rank_that_is_stopped_ends_the_job_and_is_named(int rank)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "SIGSTOP is sent by kill");
        using var job = MpiJob.Start(2, Ranks, "endless", "default", "wait");
        string id = job.WaitFor($"rank {rank} is process ");
        Thread.Sleep(500);
        var clock = Stopwatch.StartNew();
        Process.Start("kill", ["-STOP", id]).WaitForExit();
        var (code, text) = job.Finish();
        Assert.NotEqual(0, code);
        Assert.InRange(clock.Elapsed.TotalSeconds, 5, 15);
        Assert.Single(
            Regex.Matches(
                text,
                $"Rank {1 - rank} of 2 has heard nothing from rank {rank} for 10 s: "
                    + @"its process or the network has stopped; the job ends\."
            )
        );
    }

    /// <summary>Longer than a stopped one may be silent.</summary>
    [Fact]
    public void A_rank_that_computes_for_long_is_waited_for() =>
        Succeeds(MpiJob.Start(2, Ranks, "slow", $"{Amari.Distributed.Mpi.SilenceTimeout.TotalSeconds + 4}"), "done: 2 ranks");

    [Theory, InlineData(2), InlineData(3)]
    public void Ranks_that_were_started_differently_are_refused(int ranks) =>
        Succeeds(MpiJob.Start(ranks, Ranks, "unlike"), $"done: {ranks} ranks");

    [Theory]
    [InlineData(
        "train digits-softmax --optimizer adamw --lr 0.001",
        "train digits-softmax --optimizer adamw --lr 0.1",
        "--lr is 0.001 on rank 0 and 0.1 on rank 1"
    )]
    [InlineData("train digits-softmax", "train digits-softmax --seed 3", "--seed is 0 on rank 0 and 3 on rank 1")]
    [InlineData("train digits-softmax", "train digits-mlp", "WORKLOAD is digits-softmax on rank 0 and digits-mlp on rank 1")]
    [InlineData(
        "compare digits-softmax --optimizers sgd,kfac",
        "compare digits-softmax --optimizers sgd",
        "--optimizers is sgd,kfac on rank 0 and sgd on rank 1"
    )]
    [InlineData(
        "compare digits-softmax --optimizers sgd",
        "train digits-softmax --optimizer sgd",
        "the command is compare on rank 0 and train on rank 1"
    )]
    [InlineData("train digits-softmax", "train digits-softmax --no-such", "Rank 1 of 2: There is no option --no-such for train")]
    public void Ranks_of_different_arguments_are_refused_once(string first, string second, string expected)
    {
        using var folder = new TemporaryFolder();
        string[] Rank(string arguments) =>
            ["-np", "1", .. MpiJob.Program(Tool), .. arguments.Split(' '), "--epochs", "1", "--threads", "1", "--out", folder.File("out")];
        using var job = MpiJob.StartCommand(
            MpiJob.Need(),
            ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", .. Rank(first), ":", .. Rank(second)]
        );
        var (code, text) = job.Finish();
        Assert.Equal(2, code);
        Assert.Single(Regex.Matches(text, Regex.Escape(expected)));
        Assert.False(Directory.Exists(folder.File("out")));
    }

    [Fact]
    public void A_cut_link_ends_the_job()
    {
        string launcher = MpiJob.Need();
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && MpiJob.Find("ip") is not null && MpiJob.Find("unshare") is not null,
            "ip and unshare are not installed: apt-get install iproute2"
        );
        using var folder = new TemporaryFolder();
        using var hosts = TwoHosts.Make(folder.File("agent.sh"));
        Assert.SkipWhen(hosts is null, "network namespaces need root and a kernel that allows them");
        using var job = MpiJob.StartCommand("ip", hosts!.Launch(launcher, [.. MpiJob.Program(Ranks), "endless", "3", "wait"]));
        job.WaitFor("rank 1 is process ");
        Thread.Sleep(500);
        hosts.Cut();
        var (code, text) = job.Finish();
        Assert.NotEqual(0, code);
        Assert.Matches(@"Rank \d of 2 (waited 3 s in an all-reduce for|has heard nothing from) rank \d.*; the job ends\.", text);
    }

    [Theory, InlineData("kfac", "GradWorkerFraction=0"), InlineData("adamw", null)]
    public void A_run_continues_with_another_number_of_ranks(string optimizer, string? setting)
    {
        using var folder = new TemporaryFolder();
        string[] common =
        [
            "train",
            "--schedule",
            "constant",
            "digits-mlp",
            "--optimizer",
            optimizer,
            "--threads",
            "1",
            .. setting?.Split(';').SelectMany(s => (string[])["--set", s]) ?? [],
        ];
        string[] sharded = setting is null ? ["--shard-state"] : [];
        string[] Part(int epochs, string name) =>
            [
                .. common,
                "--epochs",
                $"{epochs}",
                "--checkpoint",
                folder.File("saved"),
                "--resume-if-any",
                "--out",
                folder.File(name),
                "--json",
                folder.File(name + ".json"),
            ];
        string two = Succeeds(MpiJob.Start(2, Tool, [.. Part(2, "two"), .. sharded]), "Report:");
        Assert.Single(Regex.Matches(two, "Report:")); // rank 0 alone speaks
        Assert.Single(Regex.Matches(two, "digits-mlp: .*; 2 epochs; 2 ranks over"));
        Run(Part(3, "one"));
        Succeeds(MpiJob.Start(4, Tool, [.. Part(5, "four"), .. sharded]), "Report:");
        Run([.. common, "--epochs", "5", "--out", folder.File("whole"), "--json", folder.File("whole.json")]);
        var (expected, actual) = (Points(folder.File("whole.json")), Points(folder.File("four.json")));
        Assert.Equal(expected.Keys.Max(), actual.Keys.Max());
        Assert.Equal(0, actual.Keys.Min()); // what was before the resumes is kept
        Assert.All(expected, p => Assert.Equal(p.Value, actual[p.Key], 2e-3 * p.Value)); // the parts also have their own ends
        Assert.Equal(
            ["four", "one", "saved", "two", "whole"],
            Directory.GetDirectories(folder.Path).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)
        );
    }

    [Theory]
    [
        InlineData("digits-mlp", "sgd,adam,adamw,lion", false),
        InlineData("digits-mlp", "adamw,adahessian", true),
        InlineData("digits-softmax", "kfac", false),
        InlineData("digits-softmax", "kfac", true)
    ]
    public void Compare_on_ranks_gives_the_curves_of_one_process(string workload, string optimizers, bool overlap)
    {
        using var folder = new TemporaryFolder();
        string[] Arguments(string name) =>
            [
                "compare",
                workload,
                "--optimizers",
                optimizers,
                "--epochs",
                "2",
                "--seeds",
                "1",
                "--threads",
                "1",
                "--out",
                folder.File(name),
                "--json",
                folder.File(name + ".json"),
                "--log-jsonl",
                folder.File(name + ".jsonl"),
                "--tensorboard",
                folder.File(name + "-board"),
            ];
        Succeeds(MpiJob.Start(2, Tool, [.. Arguments("two"), .. overlap ? (string[])["--overlap"] : []]), "Report:");
        Run(Arguments("one"));
        double[] expected = Losses(folder.File("one.json")),
            actual = Losses(folder.File("two.json"));
        Assert.Equal(2 * optimizers.Split(',').Length, actual.Length); // at the start and the end
        Assert.Equal(actual.Length, File.ReadAllLines(folder.File("two.jsonl")).Length); // of rank 0 alone
        Assert.All(Directory.GetDirectories(folder.File("two-board")), run => Assert.Single(Directory.GetFiles(run)));
        Assert.All(expected.Zip(actual), p => Assert.Equal(p.First, p.Second, 2e-3 * p.First));
    }

    [Fact]
    public void Bad_arguments_are_reported_once()
    {
        var (code, text) = Fails(MpiJob.Start(2, Tool, "train", "digits-mlp", "--optimizer", "newton-cg", "--shard-state"));
        Assert.Single(Regex.Matches(text, "The state of NewtonCg cannot be divided over ranks"));
        Assert.Equal(2, code);
    }

    [Fact]
    public void Other_commands_are_for_one_process()
    {
        var (code, text) = Fails(MpiJob.Start(2, Tool, "lecture", "list"));
        Assert.Single(Regex.Matches(text, "lecture runs in a single process"));
        Assert.Equal(2, code);
    }

    [Fact]
    public void Info_shows_library_and_ranks()
    {
        string text = Succeeds(MpiJob.Start(2, Tool, "info"), "2 ranks");
        string line = Regex.Replace(text, @"\s+", " "); // which is wrapped
        Assert.Single(Regex.Matches(line, @"MPI \S[^)]*\d+\.\d+[^)]*interface\), launcher [^,]*, 2 ranks"));
    }

    private static string Mpich()
    {
        Assert.SkipWhen(MpiJob.Find("mpirun.mpich") is null, "MPICH is not installed: apt-get install mpich");
        return MpiJob.Find("mpirun.mpich")!;
    }

    private static string Succeeds(MpiJob job, string expected)
    {
        using (job)
        {
            var (code, text) = job.Finish();
            Assert.True(code == 0, text);
            Assert.Contains(expected, text, StringComparison.Ordinal);
            return text;
        }
    }

    private static (int Code, string Text) Fails(MpiJob job)
    {
        using (job)
        {
            var result = job.Finish();
            Assert.True(result.Code != 0, result.Text);
            return result;
        }
    }

    /// <summary>Runs the tool in one process.</summary>
    private static void Run(string[] arguments) =>
        Succeeds(MpiJob.StartCommand("dotnet", [.. MpiJob.Program(Tool)[1..], .. arguments]), "Report:");

    /// <summary>Losses by step.</summary>
    private static Dictionary<long, double> Points(string file) =>
        JsonNode.Parse(File.ReadAllText(file))!["runs"]![0]!["losses"]!.AsArray().ToDictionary(l => (long)l![0]!, l => (double)l![2]!);

    /// <summary>The losses of each run.</summary>
    private static List<double[]> Curves(string file) =>
        [
            .. JsonNode.Parse(File.ReadAllText(file))!["runs"]!
                .AsArray()
                .Select(r => r!["losses"]!.AsArray().Select(l => (double)l![2]!).ToArray()),
        ];

    private static double[] Losses(string file) =>
        [
            .. JsonNode.Parse(File.ReadAllText(file))!["runs"]!
                .AsArray()
                .SelectMany(r => r!["losses"]!.AsArray())
                .Select(l => (double)l![2]!),
        ];
}
