using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>What <see cref="ScheduleFree"/> averages.</summary>
public enum ScheduleFreeBase
{
    /// <summary>AdamW's steps, without its first moment.</summary>
    AdamW,

    /// <summary>Plain gradient steps.</summary>
    Sgd,
}
