using System.Text.Json.Nodes;
using Amari.Native;

namespace Amari.Optimizers;

/// <summary>What an optimizer has to say, oldest first. The same thing happening again is counted in the message of the first
/// time.</summary>
internal sealed class EventLog
{
    private const double Absurd = 1e10;

    private readonly List<(string Subject, string Message, long First, long Count)> _events = [];

    /// <summary>Remembers one.</summary>
    /// <param name="subject">The parameter or layer; <c>all</c> for all of them.</param>
    /// <param name="message">One sentence, without what differs from time to time.</param>
    /// <param name="step">The optimizer step, from 1.</param>
    public void Add(string subject, string message, long step)
    {
        int i = _events.FindIndex(e => e.Message == message && e.Subject == subject);
        if (i < 0)
            _events.Add((subject, message, step, 1));
        else
            _events[i] = _events[i] with { Count = _events[i].Count + 1 };
    }

    /// <summary>Why a step is skipped for a gradient.</summary>
    public const string GradientNotFinite = "a gradient was not finite";

    /// <summary>Remembers that a step was skipped for these parameters' gradients.</summary>
    public void AddSkipped(IReadOnlyList<string> parameters, long step) =>
        Add(
            parameters.Count > 0 ? parameters[0] : "all",
            $"its gradient was not finite{(parameters.Count > 1 ? ", nor were others" : "")}; the step was skipped",
            step
        );

    /// <summary>Remembers parameters that start with numbers that nobody can have meant, and says so on standard error.</summary>
    /// <param name="parameters">As the optimizer is made over them.</param>
    public void AddUninitialised(IEnumerable<(string Name, Parameter Parameter)> parameters)
    {
        using var off = no_grad();
        foreach (var (name, parameter) in parameters)
        {
            if (
                parameter.numel() == 0
                || parameter.is_sparse
                || !parameter.is_floating_point()
                || GradientCheck.LargestMagnitude(parameter) <= Absurd
            )
                continue;
            string message =
                FormattableString.Invariant($"it starts with numbers that are not finite or above {Absurd:0e0} in magnitude")
                + ": initialise it, as TorchSharp 0.107's nn.GroupNorm does not with its weight and bias";
            Add(name, message, 0);
            Warnings.Once($"The parameter '{name}': {message}.");
        }
    }

    /// <summary>As users see them.</summary>
    public IReadOnlyList<OptimizerEvent> Events =>
        [
            .. _events.Select(e => new OptimizerEvent(
                e.First,
                e.Subject,
                e.Message + (e.Count == 1 ? "" : FormattableString.Invariant($" ({e.Count} times by now)"))
            )),
        ];

    /// <summary>For a snapshot.</summary>
    public JsonArray Save() => new([.. _events.Select(e => new JsonArray(e.Subject, e.Message, e.First, e.Count))]);

    /// <summary>Those of a snapshot, and what this optimizer said when it was made; a snapshot without any changes nothing.</summary>
    public void Load(JsonNode? saved)
    {
        if (saved is not JsonArray events)
            return;
        var made = _events.Where(e => e.First == 0).ToList();
        _events.Clear();
        _events.AddRange(events.Select(e => ((string)e![0]!, (string)e[1]!, (long)e[2]!, (long)e[3]!)));
        _events.AddRange(made.Where(m => !_events.Exists(e => e.Message == m.Message && e.Subject == m.Subject)));
    }
}
