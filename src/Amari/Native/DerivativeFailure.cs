using System.Text.RegularExpressions;

namespace Amari.Native;

/// <summary>What libtorch says of a derivative that it cannot take, in a sentence that names the cause and the remedy.</summary>
internal static class DerivativeFailure
{
    /// <summary>What users call an operation where libtorch has another name for it.</summary>
    private static readonly Dictionary<string, string> Names = new()
    {
        ["embedding_bag"] = "EmbeddingBag",
        ["grid_sampler_2d"] = "grid_sample",
        ["grid_sampler_3d"] = "grid_sample",
        ["ctc_loss"] = "CTCLoss",
    };

    /// <summary>The exception to throw in place of libtorch's, whose first line is the inner one.</summary>
    public static InvalidOperationException Of(Exception failure)
    {
        string reason = Reason(failure.Message);
        return new(Sentence(reason), new InvalidOperationException(reason, failure));
    }

    /// <summary>The exception for a loss that there is no way from to the parameters.</summary>
    public static InvalidOperationException NoGraph() =>
        new(
            "The loss does not depend on the parameters: there is no graph from it to any of them "
                + "(it was detached, computed under no_grad, of integers, or of other parameters)."
        );

    /// <summary>The first line of what libtorch says, without the trace of the script that asked.</summary>
    internal static string Reason(string message)
    {
        var error = AfterTrace().Match(message);
        return (error.Success ? message[(error.Index + error.Length)..] : message).Split('\n')[0].Trim();
    }

    private static string Sentence(string reason)
    {
        if (reason.Contains("backward through the graph a second time", StringComparison.Ordinal))
            return "The graph of the function was used up before its derivative was taken, as by a closure that calls backward() itself, "
                + "or autograd.grad with create_graph: true but not retain_graph: true: return the differentiable loss without calling "
                + "backward(), and keep the graph.";
        if (Missing().Match(reason) is { Success: true } missing)
            return $"The operation {NameOf(missing.Groups["operation"].Value)} has no "
                + (
                    missing.Groups["second"].Success
                        ? "second derivative, which this method needs: replace the operation, or take a method of first derivatives "
                            + "(AdamW, K-FAC)."
                        : "derivative: replace the operation, or freeze what it is applied to."
                );
        if (InPlace().Match(reason) is { Success: true } edited)
            return "A tensor that the derivative needs "
                + $"({edited.Groups["tensor"].Value}{(edited.Groups["source"].Success ? $", {edited.Groups["source"].Value}" : "")}) was "
                + "changed in place after it was used: write the result to a new tensor, or change a clone.";
        if (Types().Match(reason) is { Success: true } types)
            return $"The gradient is {TypeOf(types.Groups["found"].Value)} where {TypeOf(types.Groups["expected"].Value)} is needed: the "
                + "loss mixes the two types, as targets and model of different types do; convert the targets, or the model, to the "
                + "other's type.";
        return $"The derivative cannot be computed: {reason.TrimEnd('.')}.";
    }

    private static string NameOf(string operation) => Names.GetValueOrDefault(operation.Trim('_'), operation.Trim('_'));

    private static string TypeOf(string name) =>
        name switch
        {
            "Double" => "Float64",
            "Float" => "Float32",
            "Half" => "Float16",
            _ => name,
        };

    // Interpreted: they are needed in a failure only.
    private static Regex AfterTrace() => new(@"<--- HERE\s(?:.*\n)*?\w+: ");

    private static Regex Missing() => new(@"derivative for '?(aten::)?(?<operation>\w+?)(?<second>_backward\w*)?'? is not implemented");

    private static Regex InPlace() =>
        new(@"modified by an inplace operation: \[(?<tensor>\w+ \[[^\]]*\])\](, which is (?<source>output \d+ of \w+))?");

    private static Regex Types() => new(@"Found dtype (?<found>\w+) but expected (?<expected>\w+)");
}
