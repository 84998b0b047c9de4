using System.Globalization;

namespace Amari.Benchmarks.Results;

/// <summary>The recipes with their sizes: together at most 100 minutes on two cores.</summary>
internal static class RecipeCatalog
{
    /// <summary>The optimizers of the comparisons.</summary>
    public const string Optimizers = "sgd,adamw,lion,routed-muon,soap,shampoo,schedulefree-adamw,kfac,ekfac";

    private const int Seeds = 3,
        Trials = 6,
        EquationTrials = 8,
        EquationBudget = 10;
    private const double Evaluated = 1.25, // evaluations take at most a fifth of the wall time
        Start = 12, // of a process, and the figures at its end
        MaxWarmUp = 2;

    private static readonly (string Workload, double Budget)[] Workloads =
    [
        ("autoencoder", 12),
        ("fashion-conv", 6),
        ("char-transformer", 12),
        ("digits-conv", 1.5),
    ];

    private static readonly string[] Shapes = ["constant", "linear", "cosine"];

    /// <summary>All recipes.</summary>
    /// <param name="scale">What budgets and counts are multiplied by; a small one makes a trial, whose results say nothing.</param>
    public static IReadOnlyList<Recipe> All(double scale = 1) =>
        [
            .. Workloads.Select(w => Tuned(w.Workload, w.Budget, scale)),
            .. Workloads.Select(w => Defaults(w.Workload, w.Budget, scale)),
            Schedules("schedules", "autoencoder", "adamw,routed-muon,kfac", 2, 6, 10.4, ["0", "0.05"], scale),
            Schedules("schedules-digits", "digits-mlp", "sgd,routed-muon,kfac", 12, 10, 0.2, ["0"], scale),
            TunedEquation(scale),
            Equations(scale),
            Endurance(scale),
            Benchmark("kfac", "the cost of a K-FAC step", 450 * scale, "kfac", "--rounds", Count(5, scale)),
            Benchmark("ratios", "fused steps", 90 * scale, "ratios", "--rounds", Count(9, scale)),
            Benchmark("steps", "steps of all kinds of methods", 180 * scale, StepArguments(scale)),
            Benchmark("spectrum", "the cost of Lanczos and traces", 900 * scale, "spectrum", "--rounds", Count(5, scale)),
            Benchmark("curvature", "curvature products", 60 * scale, "curvature", "--rounds", Count(9, scale)),
            Benchmark("plan", "predictions of amari plan", 220 * scale, PlanArguments(scale)),
            Scaling(scale),
            Benchmark("busy", "steps beside busy processes", 140 * scale, "busy", "--rounds", Count(5, scale)),
            Benchmark("faults", "injected faults", 240 * Math.Max(scale, 0.1), FaultArguments(scale)),
        ];

    private static string[] StepArguments(double scale) =>
        ["steps", "--optimizers", "adamw,lion,muon,routed-muon,soap,shampoo,kfac,ekfac", "--rounds", Count(5, scale)];

    private static Recipe Tuned(string workload, double budget, double scale) =>
        Compared(
            $"tuned-{workload}",
            $"{workload}, every optimizer tuned alike",
            workload,
            budget * scale,
            int.Parse(Count(Trials, scale, 2), CultureInfo.InvariantCulture)
        );

    private static Recipe Defaults(string workload, double budget, double scale) =>
        Compared($"defaults-{workload}", $"{workload}, every optimizer at its defaults", workload, budget * scale, 0);

    /// <summary>The solvers of least squares against tuned first-order methods.</summary>
    private static Recipe TunedEquation(double scale) =>
        Compared(
            "tuned-poisson",
            "poisson, every optimizer tuned alike",
            "poisson",
            EquationBudget * scale,
            int.Parse(Count(EquationTrials, scale, 2), CultureInfo.InvariantCulture),
            "adamw,lbfgs,levenberg-marquardt,gauss-newton,kfac"
        );

    /// <summary>How small the error becomes, with the workloads' settings.</summary>
    private static Recipe Equations(double scale)
    {
        return new(
            "equations",
            "the error of differential equations",
            [
                Part("poisson", "levenberg-marquardt", 10, "1e-6"),
                Part("poisson", "levenberg-marquardt", 30, "1e-6", "--set", "hidden=32,32"),
                Part("heat", "levenberg-marquardt", 30, "1e-6"),
                Part("monge-ampere", "levenberg-marquardt", 30, "1e-6"),
                Part("burgers", "levenberg-marquardt", 60, "1e-5"),
                Part("poisson-5d", "gauss-newton", 60, "2e-4"),
            ]
        );

        Part Part(string workload, string optimizer, double budget, string goal, params string[] settings) =>
            new(
                string.Join('-', [workload, .. settings.Skip(1)]).Replace('=', '-').Replace(',', '-'),
                PartKind.Comparison,
                [
                    .. $"compare {workload} --optimizers {optimizer} --seeds {Seeds} --budget {Time(budget * scale)} --threads 1".Split(
                        ' '
                    ),
                    "--workload-settings",
                    .. settings,
                    "--target",
                    "relative L2 error=" + goal,
                ],
                Start + MaxWarmUp + Evaluated * Seeds * budget * scale
            );
    }

    private static Recipe Compared(string id, string title, string workload, double budget, int trials, string optimizers = Optimizers)
    {
        string[] tune = trials == 0 ? [] : ["--tune", trials.ToString(CultureInfo.InvariantCulture)];
        double runs = trials / 4.0 + (trials + 2) / 3 + Seeds;
        double each = Math.Min(MaxWarmUp, budget / 2) + Evaluated * budget * runs;
        string[] arguments =
        [
            "compare",
            workload,
            "--optimizers",
            optimizers,
            .. tune,
            "--seeds",
            Seeds.ToString(CultureInfo.InvariantCulture),
            "--budget",
            Time(budget),
            "--threads",
            "1",
        ];
        return new(id, title, [new(id, PartKind.Comparison, arguments, Start + optimizers.Split(',').Length * each)]);
    }

    /// <param name="id">The recipe.</param>
    /// <param name="workload">The workload.</param>
    /// <param name="optimizers">By name.</param>
    /// <param name="seeds">Of each optimizer.</param>
    /// <param name="epochs">Of each run.</param>
    /// <param name="epochSeconds">The seconds of an epoch of all optimizers together.</param>
    /// <param name="warmups">The shares of warm-up, with each shape.</param>
    /// <param name="scale">As above.</param>
    private static Recipe Schedules(
        string id,
        string workload,
        string optimizers,
        int seeds,
        int epochs,
        double epochSeconds,
        string[] warmups,
        double scale
    )
    {
        string count = Count(epochs, scale);
        double seconds = Start + Evaluated * seeds * epochSeconds * double.Parse(count, CultureInfo.InvariantCulture);
        return new(
            id,
            $"{workload}, rankings by the shape of the schedule",
            [
                .. from shape in Shapes
                from warmup in warmups
                select new Part(
                    $"{shape}-{warmup}",
                    PartKind.Comparison,
                    [
                        .. $"compare {workload} --optimizers {optimizers} --seeds {seeds} --epochs {count}".Split(' '),
                        .. $"--schedule {shape} --warmup {warmup} --threads 1".Split(' '),
                    ],
                    seconds
                ),
            ]
        );
    }

    private static Recipe Scaling(double scale)
    {
        string[] arguments = ["scaling", "--rounds", Count(20, scale)];
        return new(
            "scaling",
            "one and two ranks",
            [new("one-rank", PartKind.Benchmark, arguments, 60 * scale), new("two-ranks", PartKind.RankedBenchmark, arguments, 60 * scale)]
        )
        {
            IsAlone = true,
        };
    }

    private static Recipe Benchmark(string id, string title, double seconds, params string[] arguments) =>
        new(id, title, [new(id, PartKind.Benchmark, arguments, Start / 2 + seconds)]) { IsAlone = true };

    private static Recipe Endurance(double scale) =>
        new(
            "endurance",
            "training long past convergence",
            [
                .. from batches in (string[])["clean", "corrupted"]
                select new Part(
                    batches,
                    PartKind.Benchmark,
                    [
                        .. "endurance --workloads digits-mlp,two-spirals".Split(' '),
                        .. "--optimizers kfac,ekfac,routed-kfac,routed-muon,soap,adamw".Split(' '),
                        .. $"--seeds {Count(3, scale)} --steps {Count(3000, scale)} --batches {batches}".Split(' '),
                    ],
                    Start / 2 + 160 * scale
                ),
            ]
        );

    private static string[] PlanArguments(double scale) =>
        [
            .. $"plan --workloads digits-conv --seconds {Count(1, scale)} --rounds {Count(2, scale)}".Split(' '),
            .. scale < 1 ? (string[])["--optimizers", "adamw,kfac"] : [],
        ];

    private static string[] FaultArguments(double scale) =>
        [.. "faults --repeats 1 --seed 1".Split(' '), .. scale < 1 ? (string[])["--kinds", "signals,input"] : []];

    private static string Count(int whole, double scale, int least = 1) =>
        Math.Max(least, (int)Math.Round(whole * scale)).ToString(CultureInfo.InvariantCulture);

    private static string Time(double seconds) =>
        seconds == Math.Floor(seconds)
            ? FormattableString.Invariant($"{seconds:F0}s")
            : FormattableString.Invariant($"{Math.Max(100, 1000 * seconds):F0}ms");
}
