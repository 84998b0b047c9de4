using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;
using Amari.Solvers;

namespace Amari;

/// <summary>Where the length of Shampoo's step comes from.</summary>
public enum Grafting
{
    /// <summary>From Shampoo itself.</summary>
    None,

    /// <summary>From the momentum: ‖m̂‖.</summary>
    Sgd,

    /// <summary>From Adam's step: ‖m̂ / (√v̂ + ε)‖.</summary>
    Adam,
}
