namespace Amari.Jets;

/// <summary>Value and derivatives of a network with respect to its inputs, at n points.</summary>
public sealed class Jet;
