using System.Text.Json;
using Amari.Distributed;
using Amari.Kronecker;

namespace Amari;

/// <summary>Which ranks compute an inverse that several ranks hold.</summary>
public enum InverseWork
{
    /// <summary>One of them computes it and sends it to the others, so the ranks share the work.</summary>
    Broadcast,

    /// <summary>Each of them computes it, so nothing is sent.</summary>
    Replicated,
}
