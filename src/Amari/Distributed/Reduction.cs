using System.Text;
using Amari.Native;
using Amari.Verification;

namespace Amari.Distributed;

/// <summary>How the ranks' values become one.</summary>
public enum Reduction
{
    /// <summary>Σ over ranks.</summary>
    Sum,

    /// <summary>The largest over ranks.</summary>
    Max,
}
