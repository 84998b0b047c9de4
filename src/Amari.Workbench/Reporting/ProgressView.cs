using System.Globalization;
using Amari.Training;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>Shows runs while they train: a live table on a terminal, otherwise plain lines.</summary>
internal sealed class ProgressView : IProgress<RunProgress>, IDisposable
{
    private const double PlainSeconds = 2;
    private const int FullWidth = 80; // columns of the table with all numbers
    private readonly IAnsiConsole _console;
    private readonly List<(string Key, RunProgress Last)> _rows = [];
    private readonly System.Diagnostics.Stopwatch _sinceLine = System.Diagnostics.Stopwatch.StartNew();
    private readonly ManualResetEventSlim _end = new();
    private readonly Lock _gate = new();
    private readonly Thread? _painter;
    private (string Key, long Step) _reported;
    private string? _all;

    public ProgressView(TextWriter output, string title)
        : this(
            ReferenceEquals(output, Console.Out) ? AnsiConsole.Console : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) }),
            title
        ) { }

    public ProgressView(IAnsiConsole console, string title)
    {
        _console = console;
        if (!console.Profile.Capabilities.Interactive || !console.Profile.Out.IsTerminal)
        {
            Line(title);
            return;
        }
        console.WriteLine(title);
        _painter = new Thread(() =>
            console
                .Live(Screen())
                .Start(live =>
                {
                    while (!_end.Wait(100))
                        live.UpdateTarget(Screen());
                    live.UpdateTarget(Screen());
                })
        )
        {
            IsBackground = true,
        };
        _painter.Start();
    }

    public void Report(RunProgress value)
    {
        string key = $"{value.Optimizer} {value.Seed} {value.Stage}";
        lock (_gate)
        {
            _all = AllLeft(value);
            int index = _rows.FindIndex(r => r.Key == key);
            if (index < 0)
            {
                _rows.RemoveAll(r => r.Last.Stage.Length > 0); // the next trial or run replaces a tuning trial
                _rows.Add((key, value));
            }
            else
                _rows[index] = (key, value);
        }
        if (_painter is not null)
            return;
        string end = value.Status is { } status and not RunStatus.Completed ? "  " + Trouble.Words(status) : "";
        bool isReported = _reported == (key, value.Step);
        bool early = value.Fraction < 1 ? _sinceLine.Elapsed.TotalSeconds < PlainSeconds : !value.Evaluated;
        if (end.Length == 0 && (value.Step == 0 || early || isReported))
            return;
        _reported = (key, value.Step);
        _sinceLine.Restart();
        string run = $"{value.Optimizer, -6} seed {value.Seed} {value.Stage, -12}";
        string all = isReported || AllLeft(value) is not { } left ? "" : "; " + left;
        Line(run + (isReported ? "     " : Numbers(value)) + end + all); // the previous line has the numbers
    }

    private static string Numbers(RunProgress p) =>
        string.Create(CultureInfo.InvariantCulture, $"{p.Fraction, 5:P0}  step {p.Step, 7}  {p.Seconds, 6:F1} s  ")
        + string.Create(CultureInfo.InvariantCulture, $"loss {Number.Short(p.Loss), -8} batch {Number.Short(p.BatchLoss), -8} ")
        + string.Create(CultureInfo.InvariantCulture, $"{Number.Short(p.MillisecondsPerStep), 6} ms/step  {p.SecondsLeft, 5:F0} s left");

    /// <summary>How long all runs still take, if that is known and they go on.</summary>
    private static string? AllLeft(RunProgress p) =>
        p is { AllSecondsLeft: >= 0.5 and var s, Status: not RunStatus.Interrupted } ? $"all runs: about {Number.Wait(s)} left" : null;

    private Rows Screen()
    {
        string? all;
        lock (_gate)
            all = _all;
        return all is null ? new(Table()) : new(Table(), new Text(all));
    }

    private Table Table()
    {
        bool isNarrow = _console.Profile.Width < FullWidth;
        string[] heads = isNarrow
            ? ["run", "", "loss", "left"]
            : ["optimizer", "seed", "", "step", "loss", "batch loss", "ms/step", "left"];
        var table = new Table().Border(TableBorder.Simple);
        foreach (string head in heads)
            table.AddColumn(isNarrow && head == heads[0] ? new(head) : new TableColumn(head).NoWrap());
        lock (_gate)
            foreach (var (_, p) in _rows.TakeLast(Math.Max(1, _console.Profile.Height - 7)))
            {
                int done = (int)Math.Round(10 * p.Fraction);
                string run = p.Stage.Length > 0 ? p.Stage : Invariant($"{p.Seed}");
                var bar = p.Status is { } status and not RunStatus.Completed
                    ? new Markup($"[red]{(status == RunStatus.Interrupted ? "stopped" : Trouble.Words(status)), -10}[/]")
                    : new Markup($"[green]{new string('━', done)}[/][grey]{new string('━', 10 - done)}[/]");
                Text loss = new(Number.Short(p.Loss)),
                    left = new(p.Status is not null || p.Fraction >= 1 ? "done" : Invariant($"{p.SecondsLeft:F0} s"));
                if (isNarrow)
                    table.AddRow(new Text($"{p.Optimizer} {run}"), bar, loss, left);
                else
                    table.AddRow(
                        new Text(p.Optimizer),
                        new Text(run),
                        bar,
                        new Text(Invariant($"{p.Step}")),
                        loss,
                        new Text(Number.Short(p.BatchLoss)),
                        new Text(Number.Short(p.MillisecondsPerStep)),
                        left
                    );
            }
        return table;
    }

    /// <summary>A line that is not wrapped if there is no terminal.</summary>
    private void Line(string text)
    {
        _console.Profile.Out.Writer.WriteLine(text);
        _console.Profile.Out.Writer.Flush();
    }

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    public void Dispose()
    {
        _end.Set();
        _painter?.Join();
        _end.Dispose();
    }
}
