using System.Text;
using Amari.Native;
using Amari.Verification;

namespace Amari.Distributed;

/// <summary>How the values of all ranks are combined.</summary>
public enum Reduction
{
    /// <summary>The sum over ranks.</summary>
    Sum,

    /// <summary>The maximum over ranks.</summary>
    Max,
}
