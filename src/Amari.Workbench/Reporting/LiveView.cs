using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>The report while its runs train: the newest state, and the page and events that show it. The thread that trains only leaves
/// the state here, and before anybody asks for the page only the ends of runs; whoever asks works out the results and renders
/// them.</summary>
/// <param name="sections">The workloads, with the results of an earlier part.</param>
/// <param name="token">What a request to stop must contain.</param>
/// <param name="pause">At least between two pages that are rendered.</param>
internal sealed class LiveView(IReadOnlyList<ReportSection> sections, string token, TimeSpan pause) : IProgress<RunProgress>
{
    private const double SnapshotSeconds = 1; // between states of a run without an evaluation
    private const double MaxRenderShare = 0.02; // of the time of one processor
    private const double MaxPagePause = 5; // seconds
    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Lock _gate = new(),
        _rendering = new();
    private readonly Stopwatch _sinceSnapshot = Stopwatch.StartNew(),
        _sincePage = Stopwatch.StartNew();
    private State _state = new([.. sections.Select(s => new Lazy<ReportSection>(s with { IsOpen = true }))], null, null, 1, 1);
    private LiveFrame? _frame;
    private TimeSpan _pagePause;
    private volatile bool _isRead; // whether anybody has asked for the page
    private bool _isBehind; // whether the state lacks an evaluation

    private sealed record State(
        IReadOnlyList<Lazy<ReportSection>> Results,
        RunProgress? Progress,
        string? End,
        long Version,
        long PageVersion
    )
    {
        public IReadOnlyList<ReportSection> Sections => [.. Results.Select(r => r.Value)];
    }

    /// <summary>Takes the progress of a run. Takes its results if it has ended; and for readers, if there is an evaluation or the last ones
    /// are old. The first report that somebody reads has the evaluations before it, too.</summary>
    public void Report(RunProgress value)
    {
        _isBehind |= value.Evaluated;
        bool isDue = value.Status is not null || _isRead && (_isBehind || _sinceSnapshot.Elapsed.TotalSeconds >= SnapshotSeconds);
        var result = isDue ? value.SoFar?.Invoke() : null;
        if (result is not null)
        {
            _sinceSnapshot.Restart();
            _isBehind = false;
        }
        lock (_gate)
            _state = _state with
            {
                Progress = value with { SoFar = null },
                Version = _state.Version + 1,
                Results = result is null
                    ? _state.Results
                    :
                    [
                        .. _state.Results.Zip(
                            sections,
                            (before, s) =>
                                s.Result.Workload == value.Workload ? new(() => s with { IsOpen = true, Result = result.Value }) : before
                        ),
                    ],
                PageVersion = _state.PageVersion + (result is null ? 0 : 1),
            };
    }

    /// <summary>The command ends. Later calls change nothing.</summary>
    /// <param name="how">One sentence.</param>
    /// <param name="results">The results in the order of the workloads; null if they stay as they are.</param>
    public void End(string how, IReadOnlyList<BenchmarkResult>? results = null)
    {
        lock (_gate)
            if (_state.End is null)
                _state = _state with
                {
                    End = how,
                    Version = _state.Version + 1,
                    PageVersion = _state.PageVersion + 1,
                    Results = results is null
                        ? _state.Results
                        : [.. sections.Zip(results, (s, result) => new Lazy<ReportSection>(s with { Result = result, IsOpen = false }))],
                };
    }

    private State Current
    {
        get
        {
            lock (_gate)
                return _state;
        }
    }

    /// <summary>The complete page with the state of now.</summary>
    public string Document()
    {
        _isRead = true;
        var state = Current;
        var (page, data) = HtmlReport.PageOf(
            state.Sections,
            $"""
            <section class="live" aria-label="progress"><div id="progress">{ProgressOf(state)}</div>
            <p><button id="stop">Stop</button> <span id="connection" role="status"></span></p></section>

            """
        );
        return page.Finish($"const sections = {data}, token = {JsonSerializer.Serialize(token)};\n", HtmlReport.Script, "live.js");
    }

    /// <summary>The newest frame. The page in it may be older, so that rendering stays below <see cref="MaxRenderShare"/>; the last frame
    /// has the last page.</summary>
    public LiveFrame Frame()
    {
        _isRead = true;
        lock (_rendering)
        {
            var state = Current;
            if (_frame?.Version == state.Version && _frame.PageVersion == state.PageVersion)
                return _frame;
            bool isDue = _frame is null || state.End is not null || _sincePage.Elapsed >= _pagePause;
            var (version, page) =
                isDue && _frame?.PageVersion != state.PageVersion ? (state.PageVersion, PageOf(state)) : (_frame!.PageVersion, _frame.Page);
            return _frame = new(state.Version, Event("progress", ProgressOf(state)), version, page, state.End is not null);
        }
    }

    private byte[] PageOf(State state)
    {
        var clock = Stopwatch.StartNew();
        var (page, data) = HtmlReport.PageOf(state.Sections);
        byte[] rendered = Event("page", page.Content, data);
        double rest = _frame is null ? 0 : Math.Min(clock.Elapsed.TotalSeconds / MaxRenderShare, MaxPagePause); // the first compiles
        _pagePause = TimeSpan.FromSeconds(Math.Max(rest, pause.TotalSeconds));
        _sincePage.Restart();
        return rendered;
    }

    /// <summary>An event with HTML, and with data of the scripts.</summary>
    private static byte[] Event(string name, string content, string data = "null") =>
        Encoding.UTF8.GetBytes(
            $"event: {name}\ndata: {{\"content\":{JsonSerializer.Serialize(content, Relaxed)},\"sections\":{data}}}\n\n"
        );

    private static string ProgressOf(State state)
    {
        if (state.End is { } end)
            return $"<p><strong>{HtmlPage.Text(end)}</strong></p>";
        if (state.Progress is not { } p)
            return "<p>The runs are being prepared.</p>";
        string run = p.Stage.Length > 0 ? p.Stage : Invariant($"seed {p.Seed}"),
            left = p.Status is { } status ? Trouble.Words(status)
            : double.IsFinite(p.SecondsLeft) ? $"{Number.Wait(p.SecondsLeft)} left"
            : "",
            all = p.AllSecondsLeft is >= 0.5 and var s ? $"; all runs: about {Number.Wait(s)} left" : "";
        string workload = state.Results.Count > 1 ? $" on {p.Workload}" : "";
        return $"<p><strong>{HtmlPage.Text($"{p.Optimizer}, {run}{workload}")}</strong> "
            + Invariant($"<progress max=\"1\" value=\"{p.Fraction:F3}\" aria-label=\"share of the budget\"></progress> ")
            + Invariant($"step {p.Step}, {p.Seconds:F1} s; loss {Number.Short(p.Loss)}, batch loss {Number.Short(p.BatchLoss)}; ")
            + $"{Number.Short(p.MillisecondsPerStep)} ms/step; {left}{all}</p>";
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
