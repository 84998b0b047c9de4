using Amari.Cli.Commands;
using Amari.Ranks;
using Amari.Serialization;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>A folder of checkpoints that is lost on the way.</summary>
public sealed class RunSaverTests
{
    private static readonly Dictionary<string, string> None = [];

    [Theory, InlineData(true), InlineData(false)]
    public void The_run_goes_on_and_saves_again_when_it_can(bool recovers)
    {
        using var folder = new TemporaryFolder();
        string saved = folder.File("saved");
        using var trainer = new Trainer(new DigitsSoftmax(), null);
        long evaluation = trainer.StepsPerEvaluation; // an epoch is one step
        var budget = Budget.OfEpochs((int)(3 * evaluation));
        var expected = trainer.Train(new("adamw", None), 0, budget);
        var run = trainer.Train(
            new("adamw", None),
            0,
            budget,
            checkpoint: new(saved, false, TimeSpan.Zero),
            evaluated: (_, point) =>
            {
                if (point.Step == evaluation) // a file in its place: also root cannot write there
                {
                    Directory.Delete(saved, recursive: true);
                    File.WriteAllText(saved, "");
                }
                if (point.Step == 2 * evaluation && recovers)
                    File.Delete(saved);
            }
        );
        Assert.Equal(RunStatus.Completed, run.Status);
        Assert.Equal(expected.Losses.Select(l => l.Loss), run.Losses.Select(l => l.Loss));
        string[] said = [.. run.Events.Where(e => e.Subject == "checkpoint").Select(e => e.Message)];
        Assert.Contains(
            $"no checkpoint could be written to '{saved}'; the run continues and tries again",
            said[0],
            StringComparison.Ordinal
        );
        Assert.Equal(recovers ? 2 : 1, said.Length);
        if (!recovers)
            return;
        Assert.Equal("checkpoints are written again", said[1]);
        using var newest = Checkpoint.Open(saved);
        Assert.Equal(3 * evaluation, newest.Step);
    }
}
