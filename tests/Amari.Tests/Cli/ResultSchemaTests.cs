using System.Text.Json.Nodes;
using Amari.Reporting;
using Amari.Tests.Reporting;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary>Every field that is written is described, and every described type holds.</summary>
public sealed class ResultSchemaTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> CommandLines =>
        [
            "train digits-softmax --optimizer kfac --epochs 2 --monitor all --monitor-share 50% --monitor-examples 32",
            "train digits-softmax --optimizer kfac --epochs 2 --set curvature.refresh.timefraction=0.5",
            "train digits-softmax --optimizer hessian-free --epochs 1 --monitor kl --start glorot --schedule cosine --warmup 0.1",
            "compare digits-softmax --optimizers sgd,adamw --epochs 1 --seeds 2",
            "compare digits-softmax --optimizers sgd,kfac --epochs 4 --seeds 1 --tune 3",
            "compare digits-softmax --optimizers sgd --budget 200ms --seeds 1 --workload-settings",
        ];

    [Theory, MemberData(nameof(CommandLines))]
    public void Results_of_commands_are_valid_and_survive_reading(string line)
    {
        var (code, _, error) = Run([.. line.Split(' '), "--threads", "1", "--out", _folder.File("o")]);
        Assert.Equal((0, ""), (code, error));
        AssertValid(File.ReadAllText(Path.Combine(_folder.File("o"), "result.json")));
    }

    [
        Theory,
        InlineData(RunStatus.Failed),
        InlineData(RunStatus.Interrupted),
        InlineData(RunStatus.Diverged),
        InlineData(RunStatus.CameApart)
    ]
    public void Results_of_runs_in_trouble_are_valid(RunStatus status)
    {
        var run = AnswerTests.Make("sgd", 0, null, null, double.NaN, status) with
        {
            Failure = status == RunStatus.Failed ? new InvalidOperationException("no luck: none\nat all") : null,
            Plateau = new(2.3, 0, 1000, 1, true, 0.01),
            Best = new(400, 4, 0.25, double.NaN),
            HeldOut = [new(0, 0, 2, 0.1), new(1000, 10, double.PositiveInfinity, double.NaN)],
        };
        AssertValid(ResultJson.Of([Planted(run)], partial: true));
        AssertValid(ResultJson.Of([Planted() with { Runs = [] }], partial: true));
    }

    /// <summary>A run that throws, and one that is stopped, as the trainer ends them.</summary>
    [Fact]
    public void Failed_and_stopped_runs_of_the_trainer_are_valid()
    {
        using var trainer = new Trainer(new OptimizerBenchmarkFailureTests.Fragile(m => m.Batch > 3), null);
        var failed = trainer.Attempt(new(new("sgd", NoSettings), 0, Budget.OfEpochs(5)), CancellationToken.None);
        var unborn = trainer.Attempt(new(new("kfac", NoSettings), 0, Budget.OfEpochs(5)), new CancellationToken(canceled: true));
        Assert.Equal((RunStatus.Failed, RunStatus.Interrupted), (failed.Status, unborn.Status));
        AssertValid(ResultJson.Of([Planted(failed, unborn), Planted(failed) with { Workload = "other" }]));
    }

    [Fact]
    public void A_field_that_the_schema_does_not_describe_is_found_anywhere()
    {
        const string Line =
            "compare digits-softmax --optimizers sgd,kfac --epochs 2 --seeds 1 --tune 1 "
            + "--monitor all --monitor-share 50% --monitor-examples 32";
        Assert.Equal(0, Run([.. Line.Split(' '), "--threads", "1", "--out", _folder.File("o")]).Code);
        var result = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("o"), "result.json")))!;
        Assert.Empty(ResultSchema.Faults(result));
        var places = Objects(result)
            .DistinctBy(o => Place(o))
            .Where(o =>
                o.GetPath() is var path
                && !path.EndsWith(".options", StringComparison.Ordinal)
                && !path.EndsWith(".workloadSettings", StringComparison.Ordinal)
            )
            .ToList();
        Assert.InRange(places.Count, 15, 100);
        foreach (var place in places)
        {
            place["surprise"] = 1;
            Assert.True(ResultSchema.Faults(result).Count > 0, $"A field more at {place.GetPath()} is not found.");
            place.Remove("surprise");
        }
        result["schema"] = ResultJson.Schema + 1;
        Assert.NotEmpty(ResultSchema.Faults(result));

        static string Place(JsonObject at) => System.Text.RegularExpressions.Regex.Replace(at.GetPath(), @"\[\d+\]", "[]");
    }

    [Fact]
    public void Everything_is_described() =>
        Assert.Empty(
            from properties in Objects(JsonNode.Parse(ResultSchema.Text)!)
                .Where(o => o.GetPath().EndsWith(".properties", StringComparison.Ordinal))
            from property in properties
            where property.Value is JsonObject o && !o.ContainsKey("description") && !o.ContainsKey("$ref") && !o.ContainsKey("const")
            select property.Value.GetPath()
        );

    internal static void AssertValid(string json)
    {
        Assert.Empty(ResultSchema.Faults(JsonNode.Parse(json)!));
        var (comparisons, partial) = ResultJson.Read(json);
        Assert.Equal(json, ResultJson.Of(comparisons, partial));
    }

    /// <summary>A comparison of planted runs, with its provenance.</summary>
    internal static BenchmarkResult Planted(params TrainingRun[] runs) =>
        new(
            "w",
            "accuracy",
            new("held-out loss", 0.1) { Origin = "the held-out loss of a linear model" },
            Budget.OfEpochs(2),
            runs,
            [
                new("sgd", new Dictionary<string, string> { ["LearningRate"] = "0.1" }, Budget.OfSeconds(0.25), double.NaN)
                {
                    Status = RunStatus.Failed,
                    Failure = new InvalidOperationException("no luck"),
                },
            ]
        )
        {
            Description = "planted",
            BatchSize = 8,
            Provenance = new(ProgramStart.Of("amari compare w"), [0, 1]) { Continued = [ProgramStart.Of("amari compare --resume o")] },
        };

    private static readonly Dictionary<string, string> NoSettings = [];

    internal static IEnumerable<JsonObject> Objects(JsonNode? node) =>
        node switch
        {
            JsonObject o => o.Select(p => p.Value).SelectMany(Objects).Prepend(o),
            JsonArray a => a.SelectMany(Objects),
            _ => [],
        };
}
