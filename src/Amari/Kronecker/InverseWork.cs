using System.Text.Json;
using Amari.Distributed;
using Amari.Kronecker;

namespace Amari;

/// <summary>Who computes the inverses of a layer's holders.</summary>
public enum InverseWork
{
    /// <summary>One holder computes them and sends them to the others: the ranks share the work.</summary>
    Broadcast,

    /// <summary>Every holder computes them: nothing is sent.</summary>
    Replicated,
}
