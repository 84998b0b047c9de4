using Amari.Native;

namespace Amari.Optimizers;

/// <summary>Says what nobody may overlook of skipped steps: that there are only such, and what a bad batch left in the model.</summary>
/// <param name="log">Of the optimizer.</param>
internal sealed class SkipWatch(EventLog log)
{
    private const int Notable = 20;
    private static readonly string[] Running = ["running_mean", "running_var"]; // other buffers, as masks, may be infinite
    private long _made = -1; // steps made at the last skipped one
    private int _run;

    /// <summary>A step was skipped.</summary>
    /// <param name="optimizer">Its name.</param>
    /// <param name="reason">A clause.</param>
    /// <param name="made">How many steps were made so far.</param>
    /// <param name="parameters">Of the optimizer.</param>
    /// <param name="models">Those it knows.</param>
    public void Add(string optimizer, string reason, long made, IEnumerable<Parameter> parameters, IEnumerable<nn.Module> models)
    {
        using var off = no_grad();
        foreach (var model in models)
            Look(model, made + 1);
        (_made, _run) = (made, made == _made ? _run + 1 : 1);
        if (_run != Notable)
            return;
        bool lost = parameters.Any(p => p.numel() > 0 && p.is_floating_point() && !IsFinite(p));
        Warnings.Once(
            FormattableString.Invariant($"{optimizer}: {Notable} steps one after another were skipped, because {reason}. ")
                + (
                    lost
                        ? "The parameters hold numbers that are not finite, too: continue from a checkpoint, with a lower learning rate."
                        : "The parameters are finite: look at the data and the loss of these batches; Events names the first parameter."
                )
        );
    }

    private void Look(nn.Module model, long step)
    {
        foreach (var (name, buffer) in model.named_buffers())
        {
            if (buffer.IsInvalid || buffer.numel() == 0 || !buffer.is_floating_point())
                continue;
            bool isRunning = Running.Any(r => name.EndsWith(r, StringComparison.Ordinal));
            if (isRunning ? IsFinite(buffer) : !IsNaN(buffer))
                continue;
            string message =
                "this buffer of the model holds numbers that are not finite, which a skipped step does not undo: restore the model from a "
                + "checkpoint"
                + (isRunning ? ", or call reset_running_stats() of its layer" : "");
            log.Add(name, message, step);
            Warnings.Once($"'{name}': {message}.");
        }
    }

    private static bool IsFinite(Tensor x) => double.IsFinite(GradientCheck.LargestMagnitude(x));

    private static bool IsNaN(Tensor x) => double.IsNaN(GradientCheck.LargestMagnitude(x));
}
