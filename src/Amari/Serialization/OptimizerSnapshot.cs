using System.Text.Json.Nodes;

namespace Amari;

/// <summary>The state of an optimizer or of a <see cref="Curvature.KroneckerEstimate"/>: tensors by <c>parameter.Member</c> and plain
/// values (type, options of each group, steps).</summary>
public sealed record OptimizerSnapshot(IReadOnlyDictionary<string, Tensor> Tensors, JsonObject Values);
