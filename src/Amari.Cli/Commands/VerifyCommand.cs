using System.CommandLine;
using Amari.Native;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Verification;
using Amari.Workloads;
using TorchSharp;

namespace Amari.Cli.Commands;

/// <summary><c>amari verify</c>: checks gradients, curvature products and K-FAC of a workload's model against dense oracles in
/// float64.</summary>
internal static class VerifyCommand
{
    private const string Text = "verification.txt";

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var examples = TypedOptions.Integer("--examples", "examples of the small batch", 1, new VerificationOptions().Examples);
        var checkpoint = new Option<string?>("--checkpoint")
        {
            Description =
                "load the weights from this checkpoint, safetensors file or file of PyTorch, or from the newest checkpoint of a run's "
                + "folder, in place of the initial weights",
            HelpName = "FILE|DIR",
        };
        var command = new Command("verify", "Check gradients, curvature and K-FAC of a model against dense oracles in float64.")
        {
            common.Workload,
            common.Set,
            examples,
            checkpoint,
            common.Assembly,
            common.Data,
        };
        common.AddCsvTo(command);
        common.AddToAny(command);
        command.SetAction(parsed =>
        {
            var workload = common.WorkloadOf(parsed);
            torch.set_num_threads(parsed.GetValue(common.Threads));
            int seed = parsed.GetValue(common.Seed);
            using var saved = parsed.GetValue(checkpoint) is { } file ? CommandLine.Reading(() => Checkpoint.Open(file)) : null;
            using var data = workload.LoadedData(parsed.GetValue(common.Data));
            using var folder = common.FolderOf(parsed, "verify-" + workload.Name, Text);
            using var scope = torch.NewDisposeScope();
            torch.manual_seed(seed);
            using var model = workload.CreatedModel();
            Require.Parameters(model, "verify");
            if (saved is not null)
                CommandLine.Reading(() => saved.CopyTo(model));
            var order = torch.randperm(data.Train.Count, dtype: torch.ScalarType.Int64);
            var options = new VerificationOptions { Examples = parsed.GetValue(examples), Seed = seed };
            var report = CommandLine.Running(() =>
                Verifier.Verify(model, workload.Likelihood, data.Train.Inputs, data.Train.Targets, options, order)
            );

            string weights =
                saved is null ? ""
                : saved.IsWeights ? $"; weights of {parsed.GetValue(checkpoint)}"
                : FormattableString.Invariant($"; weights of step {saved.Step}");
            string title = $"{workload.Name}: {workload.Description}{weights}{Environment.NewLine}";
            int width = ConsoleText.WidthOf(output);
            string json = VerificationJson.Of(workload.Name, report);
            output.Write(ConsoleText.Wrap(title + report.ToString(width), width));
            folder.Write(Text, title + report);
            folder.WriteResult(json);
            output.WriteLine(ConsoleText.Wrap($"Report: {folder.PathOf(Text)} (in the same folder: result.json)", width));
            return folder.ExitCode(report.Passed ? 0 : 1);
        });
        return command;
    }
}
