using Amari.Reporting;
using Amari.Tests.Training;
using Amari.Training;

namespace Amari.Tests.Reporting;

/// <summary>Event files, read back by a reader that shares no code with TorchSharp's writer.</summary>
public sealed class TensorBoardLogTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static RunProgress At(long step, bool evaluated = true) =>
        new("kfac", 3, "", step, 0.5 * step, 0.5, 0.25, 1.5 / (step + 1), 0.75, 2.5, 1, evaluated)
        {
            Workload = "digits",
            MetricName = "accuracy",
            HeldOutLoss = 1.25,
            LearningRate = 0.125,
        };

    [Fact]
    public void The_reader_knows_the_standard_checksum() => Assert.Equal(0xE3069283, EventFile.Crc("123456789"u8.ToArray()));

    [Fact]
    public void Evaluations_are_scalars_at_their_steps_and_complete_at_once()
    {
        var log = new TensorBoardLog(_folder.File("t"), hasWorkloads: false);
        foreach (long step in (long[])[0, 7, 300])
        {
            log.Report(At(step));
            log.Report(At(step + 1, evaluated: false));
            var scalars = EventFile.Read(_folder.File("t/kfac-3"));
            double now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
            Assert.All(scalars, s => Assert.InRange(s.WallTime, now - 3600, now + 1));
            Assert.Equal(
                [("loss/train", 1.5f / (step + 1)), ("loss/held-out", 1.25f), ("metric/accuracy", 0.75f), ("learning rate", 0.125f)],
                scalars.Where(s => s.Step == step && s.Tag != "ms/step").Select(s => (s.Tag, s.Value))
            );
            Assert.Equal(step == 0 ? [] : [2.5f], scalars.Where(s => s.Step == step && s.Tag == "ms/step").Select(s => s.Value));
            Assert.DoesNotContain(scalars, s => s.Step == step + 1);
        }
    }

    [Fact]
    public void Each_run_and_trial_has_its_folder()
    {
        var log = new TensorBoardLog(_folder.Path, hasWorkloads: true);
        log.Report(At(0) with { Stage = "tuning 3/11" });
        log.Report(At(0) with { HeldOutLoss = null, Loss = double.NaN, Status = RunStatus.Diverged });
        Assert.NotEmpty(EventFile.Read(_folder.File("digits/kfac-tuning-3")));
        var scalars = EventFile.Read(_folder.File("digits/kfac-3"));
        Assert.Equal(["loss/train", "metric/accuracy", "learning rate"], scalars.Select(s => s.Tag));
        Assert.Equal(float.NaN, scalars[0].Value);
    }

    [Fact]
    public void Existing_files_stay()
    {
        new TensorBoardLog(_folder.Path, false).Report(At(0));
        string file = Assert.Single(Directory.GetFiles(_folder.File("kfac-3")));
        byte[] before = File.ReadAllBytes(file);
        new TensorBoardLog(_folder.Path, false).Report(At(7));
        Assert.Equal(before, File.ReadAllBytes(file));
        Assert.Equal(2, Directory.GetFiles(_folder.File("kfac-3")).Length);
    }

    [Fact]
    public void A_folder_that_is_lost_ends_the_log_but_not_the_run()
    {
        File.WriteAllText(_folder.File("file"), "");
        var refused = Assert.Throws<ArgumentException>(() => new TensorBoardLog(_folder.File("file"), false));
        Assert.Contains("is a file; it must be a folder", refused.Message, StringComparison.Ordinal);
        var log = new TensorBoardLog(_folder.Path, false);
        File.WriteAllText(_folder.File("kfac-3"), "in the way");
        log.Report(At(0));
        File.Delete(_folder.File("kfac-3"));
        log.Report(At(7));
        Assert.False(Path.Exists(_folder.File("kfac-3"))); // it has ended
    }
}
