using Amari.Native;
using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

/// <summary>What is said of skipped steps, by lines that were or were not written before.</summary>
public sealed class SkipWatchTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly EventLog _log = new();
    private readonly SkipWatch _watch;
    private readonly Linear _layer = nn.Linear(2, 2);

    public SkipWatchTests() => _watch = new(_log);

    public void Dispose() => _scope.Dispose();

    private static string Line(string optimizer, bool lost = false) =>
        $"{optimizer}: 20 steps one after another were skipped, because a gradient was not finite. "
        + (
            lost
                ? "The parameters hold numbers that are not finite, too: continue from a checkpoint, with a lower learning rate."
                : "The parameters are finite: look at the data and the loss of these batches; Events names the first parameter."
        );

    private void Skip(string optimizer, int times, long made = 3)
    {
        for (int i = 0; i < times; i++)
            _watch.Add(optimizer, EventLog.GradientNotFinite, made, _layer.parameters(), []);
    }

    private static bool IsWritten(string line) => !Warnings.Once(line);

    [Fact]
    public void Twenty_skipped_steps_one_after_another_are_said()
    {
        Skip("WatchedTwenty", 20);
        Assert.True(IsWritten(Line("WatchedTwenty")));
    }

    [Fact]
    public void A_step_between_them_begins_the_count_again()
    {
        Skip("WatchedNineteen", 19, made: 3);
        Skip("WatchedNineteen", 19, made: 4);
        Assert.False(IsWritten(Line("WatchedNineteen")));
    }

    [Fact]
    public void Parameters_that_are_lost_are_said()
    {
        using (no_grad())
            _layer.weight!.fill_(double.PositiveInfinity);
        Skip("WatchedLost", 20);
        Assert.True(IsWritten(Line("WatchedLost", lost: true)));
    }

    [Fact]
    public void Statistics_that_a_bad_batch_spoiled_are_named_and_masks_are_not()
    {
        const string Remedy =
            "this buffer of the model holds numbers that are not finite, which a skipped step does not undo: restore the model from a "
            + "checkpoint, or call reset_running_stats() of its layer";
        var norm = nn.BatchNorm1d(2);
        var model = nn.Sequential(("watched", norm));
        model.register_buffer("mask", full(2, double.NegativeInfinity));
        _watch.Add("WatchedStatistics", EventLog.GradientNotFinite, 6, [], [model]);
        Assert.Empty(_log.Events);
        model.call(full(4, 2, double.NaN).to_type(ScalarType.Float32));
        _watch.Add("WatchedStatistics", EventLog.GradientNotFinite, 6, [], [model]);
        Assert.Equal([new(7, "watched.running_mean", Remedy), new(7, "watched.running_var", Remedy)], _log.Events);
        Assert.True(IsWritten($"'watched.running_mean': {Remedy}."));
        norm.reset_running_stats();
        _watch.Add("WatchedStatistics", EventLog.GradientNotFinite, 6, [], [model]);
        Assert.Equal(2, _log.Events.Count);
    }
}
