using System.Text.Json.Nodes;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

/// <summary>Something that happened during a step and that the user should know about.</summary>
/// <param name="Step">The optimizer step, starting at 1.</param>
/// <param name="Subject">The parameter or layer.</param>
/// <param name="Message">One sentence.</param>
public sealed record OptimizerEvent(long Step, string Subject, string Message);
