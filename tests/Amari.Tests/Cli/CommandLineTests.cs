using System.Text.Json.Nodes;
using Amari.Serialization;
using Amari.Solvers;
using Amari.Tests.Training;
using Amari.Tests.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary>What holds of every command: bad arguments, checkpoints that do not fit, models and workloads that fail.</summary>
public sealed class CommandLineTests
{
    public static TheoryData<string, string> BadArguments =>
        new()
        {
            { "compare no-such", "digits-mlp" },
            { "compare --optimizers sgd,foo", "sgd, adam, adamw, lion, adamw-bf16" },
            { "compare --budget 10", "60s" },
            { "compare --budget -3s", "it must be a time > 0" },
            { "compare --epochs 0", "integer >= 1" },
            { "compare --seeds 0", "integer >= 1" },
            { "compare --seeds few", "--seeds is 'few'; it must be an integer >= 1 and <= 1000000." },
            {
                "compare --seeds 99999 --seed 2147483647",
                "--seed is 2147483647; with --seeds 99999 it must be an integer >= 0 and <= 2147383649."
            },
            { "train --epochs 1.5", "--epochs is '1.5'; it must be an integer >= 1 and <= 2147483647." },
            { "train --epochs 99999999999", "--epochs is '99999999999'; it must be an integer >= 1 and <= 2147483647." },
            { "train --seed 18446744073709551615", "it must be an integer >= 0 and <= 2147483647." },
            { "train --optimizer lbfgs --set history=99999999999", "it must be an integer from -2147483648 to 2147483647." },
            { "train --warmup 0,1", "--warmup is '0,1'; it must be a share such as 5% or 0.05, from 0 to 0.5." },
            { "compare --warmup 60%", "--warmup is '60%'; it must be a share such as 5% or 0.05, from 0 to 0.5." },
            { "train poisson --set boundary-weight=0,1", "The setting boundary-weight is '0,1'; it must be a number." },
            { "train --threads two", "--threads is 'two'; it must be an integer >= 1 and <= " },
            { "compare --tune -1", "integer >= 0" },
            { "compare --budget 1s --epochs 2", "not both" },
            { "compare --assembly missing.dll", "missing.dll" },
            { "compare --target 0.9", "--target is '0.9'; it must be NAME=V, such as loss=0.01" },
            { "train --target accuracy=high", "--target is 'accuracy=high'" },
            { "train --target accuracy=NaN", "The target of digits-mlp is accuracy NaN; it must be a finite value of the loss" },
            { "train --target error=0.1", "is error 0.1; it must be a finite value of the loss, the held-out loss or the accuracy." },
            { "compare --nonsense", "There is no option --nonsense for compare; the nearest are " },
            { "compare --bogus --csv f.csv --target y", "There is no option --bogus for compare; " },
            { "compare digits-mlp --set hidden=3 --budgets=3s", "There is no option --budgets for compare; the nearest are --budget, " },
            { "compare --seeds --sedes 3", "There is no option --sedes for compare; the nearest are --seed" },
            { "train --live --bogus", "There is no option --bogus for train; " },
            { "train -v", "There is no option -v for train; " },
            { "spectrum --csv f.csv --target price --bogus", "There is no option --bogus for spectrum; " },
            { "spectrum --csv --target price", "--csv has no value: --target is another option." },
            { "train --set --lr 3", "--set has no value: --lr is another option." },
            { "landscape --bogus", "There is no option --bogus for landscape; " },
            { "plan --bogus", "There is no option --bogus for plan; " },
            { "report a --bogus b", "There is no option --bogus for report; " },
            { "lecture E1 e1", "The lecture items are 'E1 e1'; they must have each item once." },
            { "lecture -x", "There is no option -x for lecture; " },
            { "info --bogus", "There is no option --bogus for info; " },
            { "--bogus", "There is no option --bogus for amari; the nearest are --help, --version." },
            { "compare -- --bogus", "The workload is '--bogus'" },
            { "train --lr -inf", "LearningRate is '-inf'; it must be a number." },
            { "compare fashion-conv --data /nowhere", "--data is '/nowhere'; this folder does not exist" },
            { "compare fashion-conv --data /dev", "dataset-fashion-mnist" },
            { "train --optimizer kfac --set damping=-1", "Damping is -1; it must be a finite number > 0." },
            { "train --optimizer kfac --set foo=1", "Damping" },
            { "train --optimizer kfac --set damping", "NAME=VALUE" },
            { "train --lr abc", "a number" },
            {
                "train digits-mlp --optimizer newton",
                "17,226 parameters need 3.3 GiB, above the limit of 1.0 GiB (MaxDenseBytes); use NewtonCg"
            },
            { "compare digits-mlp --optimizers adamw,saddle-free-newton", "use NewtonCg" },
            { "train digits-mlp --optimizer natural-gradient --set solver=dense", "ConjugateGradient" },
            { "train digits-mlp --optimizer levenberg-marquardt", "The loss of Categorical is not a sum of squared residuals" },
            { "train --optimizer newton-cg --set radius=0", "Radius is 0; it must be a finite number > 0." },
            { "train --resume", "--checkpoint" },
            { "train --checkpoint nowhere --resume", "--resume-if-any" },
            { "train --start he", "The weight initialisation is 'he'; it must be one of workload, sparse, glorot, pytorch." },
            { "compare --start 3", "The weight initialisation is '3'" },
            { "verify --checkpoint nowhere", "There is no checkpoint 'nowhere'" },
            { "train --threads 0", "integer >= 1" },
            { "train --threads 100000", "integer >= 1 and <= " },
            { "verify no-such", "digits-mlp" },
            { "verify --examples 0", "integer >= 1" },
            { "verify --budget 3s", "There is no option --budget for verify; " },
            { "verify --assembly missing.dll", "missing.dll" },
            { "plan --optimizers nope", "'nope'" },
            { "plan --optimizers ,", "There is no optimizer ''" },
            { "compare --optimizers adamw,,kfac", "There is no optimizer ''" },
            { "compare --optimizers adamw,AdamW", "--optimizers is 'adamw,AdamW'; it must have adamw once." },
            { "plan --optimizers sgd,sgd", "--optimizers is 'sgd,sgd'; it must have sgd once." },
            { "train --monitor sharpness,,kl", "The monitored quantity is ''; it must be one of sharpness" },
            { "train --monitor kl,noise,kl", "is 'kl,noise,kl'; it must have kl once." },
            {
                "train poisson --set hidden=2000000000",
                "With hidden=2000000000, points=900, boundary-points=120, training 8,000,000,001 parameters on 1,020 examples "
            },
            { "train poisson --set points=2147483647 --set hidden=9999", " examples at once needs at least " },
            { "train poisson --set hidden=32,,", "The setting hidden is '32,,'; it must be whole numbers from 1 to 2147483647" },
            { "plan --calibration 0s", "--calibration is '0s'" },
            { "plan --steps 0", "--steps is 0; it must be an integer >= 1 and <= 1000000." },
            { "plan --steps 2000000000", "--steps is 2000000000; it must be an integer >= 1 and <= 1000000." },
            { "train --monitor sharpness,foo", "is 'foo'; it must be one of sharpness, spectrum, noise, kl, factors" },
            { "compare --monitor ,", "sharpness, spectrum, noise, kl, factors" },
            { "train --monitor kl --monitor-share 100%", "--monitor-share is '100%'" },
            { "train --monitor kl --monitor-examples 1", "integer >= 2" },
            { "train --monitor-share 10%", "needs --monitor" },
            { "train --checkpoint-every 1s", "--checkpoint-every needs --checkpoint DIR." },
            { "train --resume-if-any", "--resume-if-any needs --checkpoint DIR." },
            { "train --resume --resume-if-any --checkpoint x", "Use --resume or --resume-if-any, not both." },
            { "train --shard-state", "--shard-state needs a launcher, such as mpirun -np 4 amari train." },
            { "compare --overlap", "--overlap needs a launcher, such as mpirun -np 4 amari compare." },
            { "train --rank-timeout 5m", "--rank-timeout needs a launcher" },
            { "frobnicate", "frobnicate" },
        };

    /// <summary>As a variable of the shell gives that is not set.</summary>
    [Theory]
    [InlineData("--json", "file"), InlineData("--assembly", "file"), InlineData("--checkpoint", "folder"), InlineData("--out", "folder")]
    public void An_empty_name_is_refused(string option, string what) =>
        AssertRefused($"{option} is ''; it must name a {what}.", "train", "--epochs", "1", option, "");

    [Theory, MemberData(nameof(BadArguments))]
    public void Bad_arguments_give_one_line_and_exit_code_2(string line, string expected)
    {
        using var folder = new TemporaryFolder();
        string here = Environment.CurrentDirectory;
        Environment.CurrentDirectory = folder.Path;
        try
        {
            AssertRefused(expected, line.Split(' '));
            Assert.Empty(
                Directory
                    .EnumerateFileSystemEntries(folder.Path)
                    .SelectMany(e => Directory.Exists(e) ? Directory.EnumerateFiles(e, "*", SearchOption.AllDirectories) : [e])
            );
        }
        finally
        {
            Environment.CurrentDirectory = here;
        }
    }

    [
        Theory,
        InlineData("verify", "verify"),
        InlineData("plan", "plan"),
        InlineData("spectrum", "measure"),
        InlineData("landscape", "measure")
    ]
    public void A_model_without_parameters_is_refused(string command, string purpose)
    {
        using var folder = new TemporaryFolder();
        string assembly = EmittedWorkloads.WriteDerived(folder.Path, "empty", typeof(EmptyWorkload)),
            result = folder.File("o");
        Tool.AssertRefused(
            $"has no parameters that are trained: there is nothing to {purpose}.",
            command,
            "--assembly",
            assembly,
            "--out",
            result
        );
    }

    [Fact]
    public void Checkpoints_that_do_not_fit_are_bad_arguments_and_leave_no_folder()
    {
        using var folder = new TemporaryFolder();
        string here = Environment.CurrentDirectory;
        Environment.CurrentDirectory = folder.Path;
        try
        {
            File.WriteAllText("file", "");
            AssertRefused("'file' is a file", "train", "--epochs", "1", "--checkpoint", "file");
            AssertRefused("cannot be written to", "train", "--epochs", "1", "--checkpoint", Path.Combine("file", "below"));
            Assert.False(Directory.Exists("out"));
            string[] run = ["train", "--optimizer", "sgd", "--epochs", "1", "--checkpoint", "saved"];
            Assert.Equal(0, Run(run).Code);
            AssertRefused("--resume", run);
            AssertRefused("LearningRate", [.. run, "--resume", "--lr", "0.03"]);
            AssertRefused("seed 0", [.. run, "--resume", "--seed", "5"]);
            AssertRefused("optimizer sgd", ["train", "--optimizer", "adamw", "--epochs", "1", "--checkpoint", "saved", "--resume"]);
            Assert.Equal(["train-digits-mlp-001"], Directory.GetDirectories("out").Select(f => Path.GetFileName(f)));
            foreach (string file in Directory.GetFiles("saved"))
                File.WriteAllBytes(file, File.ReadAllBytes(file)[..^1]);
            var (code, _, error) = Run([.. run, "--resume"]);
            Assert.Equal(1, code); // the arguments are right
            Assert.Contains("damaged", error, StringComparison.Ordinal);
            using (var bare = new CheckpointDirectory("bare"))
                bare.Save(1, new Dictionary<string, Tensor>(), new Dictionary<string, string>());
            (code, _, error) = Run(["train", "--optimizer", "sgd", "--epochs", "1", "--checkpoint", "bare", "--resume"]);
            Assert.Equal(1, code);
            Assert.Contains("lacks 'run'", Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
            Assert.Single(Directory.GetDirectories("out"));
        }
        finally
        {
            Environment.CurrentDirectory = here;
        }
    }

    [Theory]
    [InlineData("train", "The run failed: The table is upside down. (ArgumentException", 1)]
    [InlineData("compare", "9 of 9 runs failed, first adamw with seed 0: The table is upside down. (ArgumentException", 9)]
    [InlineData("spectrum", "The run failed: The table is upside down. (ArgumentException", null)]
    public void What_a_workload_throws_while_it_trains_is_a_failed_run(string command, string expected, int? runs)
    {
        using var folder = new TemporaryFolder();
        string assembly = EmittedWorkloads.WriteDerived(folder.Path, "throwing", typeof(ThrowingWorkload)),
            result = folder.File("o");
        var (code, _, error) = Run(command, "--assembly", assembly, "--out", result);
        Assert.Equal(1, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
        Assert.Equal(runs is not null, Directory.Exists(result));
        if (runs is null)
            return;
        var all = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!["runs"]!.AsArray();
        Assert.Equal(runs, all.Count);
        foreach (var run in all)
        {
            Assert.Equal(
                ("failed", "ArgumentException: The table is upside down.", 0),
                ((string)run!["status"]!, (string)run["failure"]!, (long)run["steps"]!)
            );
            Assert.Single(run["losses"]!.AsArray()); // the one before the first step
        }
    }
}
