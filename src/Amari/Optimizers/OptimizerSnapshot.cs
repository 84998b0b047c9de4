using System.Text.Json.Nodes;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

/// <summary>An optimizer's state: tensors by <c>parameter.Member</c> and plain values (type, options of each group, steps).</summary>
public sealed record OptimizerSnapshot(IReadOnlyDictionary<string, Tensor> Tensors, JsonObject Values);
