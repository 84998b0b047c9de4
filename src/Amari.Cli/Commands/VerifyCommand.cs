using System.CommandLine;
using Amari.Cli.Reporting;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;
using TorchSharp;

namespace Amari.Cli.Commands;

/// <summary><c>amari verify</c>: holds gradients, curvature products and K-FAC of a workload's model against dense oracles in float64.</summary>
internal static class VerifyCommand
{
    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var examples = CommonOptions.Whole("--examples", "examples of the tiny batch", 1, new VerificationOptions().Examples);
        var checkpoint = new Option<string?>("--checkpoint")
        {
            Description = "take the weights from this checkpoint, or the newest of a run's folder, instead of fresh ones",
            HelpName = "FILE|DIR",
        };
        var command = new Command("verify", "Hold gradients, curvature and K-FAC of a model against dense oracles in float64.")
        {
            common.Workload, examples, checkpoint, common.Assembly, common.Data, common.Overwrite,
        };
        common.AddToAny(command);
        command.SetAction(parsed =>
        {
            var workload = WorkloadCatalog.Find(parsed.GetValue(common.Workload), parsed.GetValue(common.Assembly));
            torch.set_num_threads(parsed.GetValue(common.Threads));
            int seed = parsed.GetValue(common.Seed);
            using var saved = parsed.GetValue(checkpoint) is { } file ? Checkpoint.Open(file) : null;
            using var data = workload.Load(parsed.GetValue(common.Data));
            using var folder = ResultFolder.Prepare(parsed.GetValue(common.Out)?.FullName, parsed.GetValue(common.Overwrite), "verify-" + workload.Name, parsed.GetValue(common.Json)?.FullName);
            using var scope = torch.NewDisposeScope();
            torch.manual_seed(seed);
            using var model = workload.CreateModel();
            Require.Parameters(model, "verify");
            saved?.CopyTo(model);
            var chosen = torch.randperm(data.Train.Count, dtype: torch.ScalarType.Int64).narrow(0, 0, Math.Min(parsed.GetValue(examples), data.Train.Count));
            var report = CommandLine.Running(() => Verifier.Verify(model, workload.Likelihood, data.Train.Inputs.index_select(0, chosen), data.Train.Targets.index_select(0, chosen),
                new() { Examples = parsed.GetValue(examples), Seed = seed }));

            string weights = saved is null ? "" : FormattableString.Invariant($"; weights of step {saved.Step}");
            string text = $"{workload.Name}: {workload.Description}{weights}{Environment.NewLine}{report}";
            string json = VerificationJson.Of(workload.Name, report);
            output.Write(text);
            ResultFolder.Write(folder.FileNamed("result.json"), json);
            ResultFolder.Write(folder.FileNamed("verification.txt"), text);
            if (folder.Json is { } path) ResultFolder.Write(path, json);
            output.WriteLine($"Report: {Path.GetRelativePath(Environment.CurrentDirectory, folder.FileNamed("verification.txt"))} (beside it result.json)");
            return report.Passed ? 0 : 1;
        });
        return command;
    }
}
