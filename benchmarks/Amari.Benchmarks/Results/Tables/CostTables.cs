using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>The tables of the timings on one process: K-FAC's step, fused steps, curvature products, predictions.</summary>
internal static class CostTables
{
    /// <summary>K-FAC's step.</summary>
    public static string Kfac(JsonObject recipe) =>
        Markdown.Table(
            [
                "workload",
                "batch",
                "K-FAC",
                "AdamW, ms",
                "K-FAC, ms",
                "ratio (range)",
                "goal",
                "plain step, ms",
                "a measurement adds",
                "a refresh adds",
            ],
            Cases(recipe)
                .Select(c =>
                    Cells(c, "workload", "batch", "settings")
                        .Concat(Numbers(c, "adamW", "kfac"))
                        .Append($"{Short(c, "ratio")} ({Short(c, "leastRatio")}..{Short(c, "mostRatio")})")
                        .Append(StepGoal(c))
                        .Concat(Numbers(c, "plain", "measurement", "refresh"))
                        .ToArray()
                )
        );

    private static string Short(JsonNode c, string name) => Amari.Reporting.Number.Short((double)c[name]!);

    private static string StepGoal(JsonNode c)
    {
        double? most = ((string)c["settings"]!, (string)c["workload"]!, (int)c["batch"]!) switch
        {
            ("defaults", "autoencoder", 512) => 1.7,
            ("defaults", "autoencoder" or "fashion-conv", _) => 1.2,
            ("defaults", "char-transformer", _) => 1.15,
            ("defaults", "digits-mlp", _) => 1.6,
            _ => null,
        };
        return most is not { } m ? "" : FormattableString.Invariant($"{m}: ") + ((double)c["ratio"]! <= m ? "met" : "**not met**");
    }

    /// <summary>Fused steps.</summary>
    public static string Ratios(JsonObject recipe)
    {
        var cases = Cases(recipe).ToList();
        string times = Markdown.Table(
            ["case", "AdamW", "its roofline", "libtorch fused", "TorchSharp", "Lion", "its roofline"],
            cases.Select(c =>
                Cells(c, "name")
                    .Concat(Numbers(c, "amariAdamW", "rooflineAdamW", "libtorchFusedAdamW", "torchSharpAdamW", "amariLion", "rooflineLion"))
                    .ToArray()
            )
        );
        string moments = Markdown.Table(
            ["case", "AdamW, bfloat16", "AdamW, 8 bits", "Lion, bfloat16", "Lion, 8 bits"],
            cases.Select(c =>
                (IReadOnlyList<string>)
                    [
                        (string)c["name"]!,
                        Share(c, "adamWBFloat16", "amariAdamW"),
                        Share(c, "adamWBlocks8", "amariAdamW"),
                        Share(c, "lionBFloat16", "amariLion"),
                        Share(c, "lionBlocks8", "amariLion"),
                    ]
            )
        );
        string guard = Markdown.Table(
            ["case", "AdamW", "AdamW, read first", "Lion", "Lion, read first"],
            cases.Select(c => Cells(c, "name").Concat(Numbers(c, "adamWGuard", "adamWExactGuard", "lionGuard", "lionExactGuard")).ToArray())
        );
        string goals = Markdown.Table(["case", "what", "measured", "goal", "answer"], cases.SelectMany(FusedGoals));
        return $"Nanoseconds per parameter:\n\n{times}\n\nThe goals, as ratios of times:\n\n{goals}\n\n"
            + $"Moments in fewer bits, the time of a step divided by that with full moments:\n\n{moments}\n\n"
            + "The check of gradients, the time of a step divided by that without it (\"read first\": with `MaxGradientNorm`, which "
            + $"reads all gradients before the step):\n\n{guard}";
    }

    private static IEnumerable<IReadOnlyList<string>> FusedGoals(JsonNode c)
    {
        bool isSmall = (string)c["name"]! == "small400";
        (string What, double Value, double AtLeast)[] goals =
        [
            ("TorchSharp / AdamW", Ratio("torchSharpAdamW", "amariAdamW"), isSmall ? 100 : 50),
            ("libtorch fused / AdamW", Ratio("libtorchFusedAdamW", "amariAdamW"), isSmall ? 15 : 1),
            ("roofline / AdamW", Ratio("rooflineAdamW", "amariAdamW"), 0.9),
            ("roofline / Lion", Ratio("rooflineLion", "amariLion"), 0.9),
        ];
        return goals.Select(g =>
            (IReadOnlyList<string>)
                [
                    (string)c["name"]!,
                    g.What,
                    Amari.Reporting.Number.Short(g.Value),
                    $"at least {Amari.Reporting.Number.Short(g.AtLeast)}",
                    g.Value >= g.AtLeast ? "met" : "**not met**",
                ]
        );

        double Ratio(string of, string to) => (double)c[of]! / (double)c[to]!;
    }

    /// <summary>Steps of all kinds of methods.</summary>
    public static string Steps(JsonObject recipe)
    {
        var document = recipe["parts"]![0]!["document"]!;
        var cases = Cases(recipe).ToList();
        double adamW = (double)cases.First(c => (string)c["name"]! == "adamw")["total"]!;
        string table = Markdown.Table(
            ["optimizer", "its own step, ms (range)", "with forward and backward pass, ms", "as a share of AdamW's"],
            cases.Select(c =>
                (IReadOnlyList<string>)
                    [
                        (string)c["name"]!,
                        $"{Short(c, "step")} ({Short(c, "leastStep")}..{Short(c, "mostStep")})",
                        Short(c, "total"),
                        Amari.Reporting.Number.Short((double)c["total"]! / adamW),
                    ]
            )
        );
        return $"A product of two 1,024 x 1,024 matrices takes {Short(document, "product")} ms.\n\n{table}";
    }

    /// <summary>Lanczos, quadrature, traces and conjugate gradient.</summary>
    public static string Spectrum(JsonObject recipe) =>
        Markdown.Table(
            ["parameters", "method", "products", "a product, ms", "outside products, for each, ms (range)", "share", "goal"],
            Cases(recipe)
                .Select(c =>
                    (IReadOnlyList<string>)
                        [
                            FormattableString.Invariant($"{(long)c["parameters"]!:N0}"),
                            (string)c["method"]!,
                            $"{c["products"]}",
                            Short(c, "product"),
                            $"{Short(c, "outside")} ({Short(c, "least")}..{Short(c, "most")})",
                            FormattableString.Invariant($"{(double)c["share"]!:P1}"),
                            (double)c["share"]! <= 0.1 ? "met" : "**10 %: not met**",
                        ]
                )
        );

    /// <summary>Steps beside busy processes.</summary>
    public static string Busy(JsonObject recipe) =>
        Markdown.Table(
            [
                "workload",
                "optimizer",
                "alone, ms",
                "busy, ms",
                "slower by (range)",
                "runs when ready",
                "at most",
                "answer",
                "longest step, ms",
            ],
            Cases(recipe)
                .Select(c =>
                    Cells(c, "workload", "optimizer")
                        .Concat(Numbers(c, "alone", "busy"))
                        .Append($"{Short(c, "slowdown")} ({Short(c, "leastSlowdown")}..{Short(c, "mostSlowdown")})")
                        .Append(FormattableString.Invariant($"{(double)c["share"]!:P0}"))
                        .Append(Amari.Reporting.Number.Short(MostSlowdown(c)))
                        .Append((double)c["slowdown"]! <= MostSlowdown(c) ? "met" : "**not met**")
                        .Concat(Numbers(c, "longestStep"))
                        .ToArray()
                )
        );

    /// <summary>Twice what the share of the processor explains.</summary>
    private static double MostSlowdown(JsonNode c) => 2 / (double)c["share"]!;

    /// <summary>Curvature products.</summary>
    public static string Curvature(JsonObject recipe) =>
        Markdown.Table(
            [
                "model",
                "batch",
                "gradient, ms",
                "Hessian",
                "Gauss-Newton",
                "empirical Fisher",
                "Hessian in a run",
                "Gauss-Newton in a run",
                "empirical Fisher in a run",
                "Hessian, each of 8",
                "Gauss-Newton, each of 8",
                "graph, MiB",
            ],
            Cases(recipe)
                .Select(c =>
                    Cells(c, "name", "batch")
                        .Concat(
                            CurvatureTimes.Select(key =>
                                FormattableString.Invariant(
                                    $"{(double)c[key]!["median"]!:F2} ({(double)c[key]!["lower"]!:F2}-{(double)c[key]!["upper"]!:F2})"
                                )
                            )
                        )
                        .Append(FormattableString.Invariant($"{(double)c["graphBytes"]! / (1 << 20):F0}"))
                        .ToArray()
                )
        );

    private static readonly string[] CurvatureTimes =
    [
        "gradient",
        "hessian",
        "gaussNewton",
        "empiricalFisher",
        "hessianInRun",
        "gaussNewtonInRun",
        "empiricalFisherInRun",
        "hessianOfEight",
        "gaussNewtonOfEight",
    ];

    /// <summary>Predictions.</summary>
    public static string Plan(JsonObject recipe)
    {
        var cases = Cases(recipe).ToList();
        var judged = cases.Where(c => c["inside"] is not null).ToList();
        string table = Markdown.Table(
            ["workload", "optimizer", "predicted, ms", "measured, ms", "ratio", "predicted bytes / measured", "remark"],
            cases.Select(c =>
                Cells(c, "workload", "optimizer")
                    .Concat(Numbers(c, "predicted", "measured", "ratio"))
                    .Append(Share(c, "predictedBytes", "measuredBytes"))
                    .Append((string?)c["remark"] ?? "")
                    .ToArray()
            )
        );
        return $"{judged.Count(c => (bool)c["inside"]!)} of {judged.Count} predicted times are within 25 %.\n\n{table}";
    }

    private static IEnumerable<JsonNode> Cases(JsonObject recipe) => recipe["parts"]![0]!["document"]!["cases"]!.AsArray().Select(c => c!);

    private static IEnumerable<string> Cells(JsonNode c, params IEnumerable<string> names) => names.Select(n => $"{c[n]}");

    private static IEnumerable<string> Numbers(JsonNode c, params IEnumerable<string> names) => names.Select(n => Markdown.Number(c[n]));

    private static string Share(JsonNode c, string of, string whole) =>
        c[of] is { } a && c[whole] is { } b ? Amari.Reporting.Number.Short((double)a / (double)b) : "-";
}
