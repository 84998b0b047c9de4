using Amari.Cli.Commands;
using Amari.Reporting;
using Amari.Tests.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Cli;

/// <summary>A live view of one optimizer's run that trains as a test says.</summary>
internal sealed class PlantedLive : IDisposable
{
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
        int n = _losses.Count;
        _losses.Add(new(n, 0.1 * n, 2.0 / (n + 1)));
        Server.Report(
            new("kfac", 0, "", n, 0.1 * n, n / 100.0, 0.25, 0.5, 0.9, 1.5, 10 - 0.1 * n, true)
            {
                Workload = "digits-mlp",
                SoFar = () => Result(Run(RunStatus.Completed, "adamw"), Run(null)),
            }
        );
    }

    /// <summary>The command ends with these runs.</summary>
    public void End() => Server.End("The runs have ended.", [Result(Run(RunStatus.Completed, "adamw"), Run(RunStatus.Completed))]);

    public void Dispose() => Server.Dispose();
}
