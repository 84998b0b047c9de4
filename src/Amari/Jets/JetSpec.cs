namespace Amari.Jets;

/// <summary>Which derivatives with respect to the inputs a <see cref="Jet"/> has.</summary>
public sealed record JetSpec;
