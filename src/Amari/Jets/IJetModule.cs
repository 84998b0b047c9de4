namespace Amari.Jets;

/// <summary>A module of one's own that takes part in a <see cref="JetNetwork"/>.</summary>
public interface IJetModule
{
    /// <summary>The module's output with its derivatives.</summary>
    /// <param name="x">The module's input with its derivatives with respect to the network's inputs: components [C, n, in].</param>
    /// <returns>[C, n, out], of the same spec: by <see cref="Jet.Map"/>, sums and products of jets, in operations that autograd can
    /// differentiate.</returns>
    Jet Push(Jet x);
}
