using Amari.Cli.Commands;
using Amari.Reporting;
using Amari.Tests.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Cli;

/// <summary>A live view of one optimizer's run that trains as a test says.</summary>
internal sealed class PlantedLive : IDisposable
{
    [ThreadStatic]
    private static bool _isReporting;

    private readonly List<LossPoint> _losses = [];
    private int _stops;

    public PlantedLive() =>
        Server = LiveServer.Start(
            0,
            [new(Result(), "1,437 digits", 128)],
            () => Interlocked.Increment(ref _stops),
            TimeSpan.FromMilliseconds(10)
        );

    public LiveServer Server { get; }

    public string Address => $"http://127.0.0.1:{Server.Port}/";

    /// <summary>How often it was asked to stop.</summary>
    public int Stops => Volatile.Read(ref _stops);

    /// <summary>How often its results were taken.</summary>
    public int Taken { get; private set; }

    private static BenchmarkResult Result(params TrainingRun[] runs) =>
        new("digits-mlp", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), runs, []);

    private TrainingRun Run(RunStatus? status, string optimizer = "kfac") =>
        AnswerTests.Make(optimizer, 0, null, null, 0.5, status ?? RunStatus.Interrupted) with
        {
            Losses = [.. _losses],
            Coverage = [new("0.weight", "Kronecker (Linear)", "linear layer")],
            IsRunning = status is null,
        };

    /// <summary>One more evaluation of kfac, after a finished run of adamw.</summary>
    public void Evaluate()
    {
        _losses.Add(new(_losses.Count, 0.1 * _losses.Count, 2.0 / (_losses.Count + 1)));
        Report(evaluated: true);
    }

    /// <summary>Progress of kfac, as there is some ten times a second.</summary>
    public void Step() => Report(evaluated: false);

    private void Report(bool evaluated)
    {
        int n = _losses.Count - 1;
        _isReporting = true;
        Server.Report(
            new("kfac", 0, "", n, 0.1 * n, n / 100.0, 0.25, 0.5, 0.9, 1.5, 10 - 0.1 * n, evaluated)
            {
                Workload = "digits-mlp",
                SoFar = SoFar,
            }
        );
        _isReporting = false;
    }

    /// <summary>Results that the thread that trains must not work out.</summary>
    private Lazy<BenchmarkResult> SoFar()
    {
        Taken++;
        TrainingRun[] runs = [Run(RunStatus.Completed, "adamw"), Run(null)];
        return new(() => _isReporting ? throw new InvalidOperationException("worked out while it trains") : Result(runs));
    }

    /// <summary>The command ends with these runs.</summary>
    public void End() => Server.End("The runs have ended.", [Result(Run(RunStatus.Completed, "adamw"), Run(RunStatus.Completed))]);

    public void Dispose() => Server.Dispose();
}
