using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Verification;
using Amari.Workloads.Data;

namespace Amari.Reporting;

/// <summary>The machine-readable result of <c>amari verify</c> with stable names. <c>passed</c> is null for inconclusive and unavailable
/// checks.</summary>
internal static class VerificationJson
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static string Of(string workload, VerificationReport report) =>
        new JsonObject
        {
            ["workload"] = workload,
            ["likelihood"] = report.Likelihood,
            ["examples"] = report.Examples,
            ["loss"] = double.IsFinite(report.Loss) ? JsonValue.Create(report.Loss) : null,
            ["passed"] = report.Passed,
            ["checks"] = new JsonArray([
                .. report.Checks.Select(c => new JsonObject
                {
                    ["name"] = c.Name,
                    ["parameter"] = c.Parameter,
                    ["relativeError"] = double.IsFinite(c.RelativeError) ? JsonValue.Create(c.RelativeError) : null,
                    ["passed"] = c.Outcome is CheckOutcome.Inconclusive or CheckOutcome.Unavailable
                        ? null
                        : JsonValue.Create(c.Outcome == CheckOutcome.Passed),
                    ["outcome"] = c.Outcome.ToString(),
                    ["digits"] = c.Digits,
                    ["oracle"] = c.Oracle,
                    ["note"] = c.Note,
                }),
            ]),
            ["approximations"] = new JsonArray([
                .. report.Approximations.Select(a => new JsonObject
                {
                    ["layer"] = a.Layer,
                    ["relativeError"] = a.RelativeError,
                    ["fisher"] = a.Fisher.ToString(),
                }),
            ]),
            ["coverage"] = new JsonArray([
                .. report.Coverage.Rows.Select(r => new JsonObject
                {
                    ["parameter"] = r.Parameter,
                    ["block"] = r.Block,
                    ["reason"] = r.Reason,
                }),
            ]),
        }.ToJsonString(Indented);
}
