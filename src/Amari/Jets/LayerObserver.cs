namespace Amari.Jets;

/// <summary>Sees the linear layers of jet passes on this thread: what row n of a Jacobian is made of, Σ_c δ_{n,c} ⊗ a_{n,c}.</summary>
/// <remarks>The bias belongs to component 0 alone: its gradient is δ_{n,0}.</remarks>
internal sealed class LayerObserver : IDisposable
{
    /// <param name="layer">The layer.</param>
    /// <param name="input">a : [C, n, in], in the graph.</param>
    /// <param name="output">z : [C, n, out], in the graph; perhaps without the bias, which leaves its gradient δ as it is.</param>
    /// <returns>What the pass goes on with: z, or z behind a tap.</returns>
    /// <remarks>a and z are disposed at the end of the pass, unless the observer detaches them from their dispose scope.</remarks>
    public delegate Tensor Sees(Linear layer, Tensor input, Tensor output);

    [ThreadStatic]
    private static List<LayerObserver>? _present;

    private readonly Sees _sees;

    /// <summary>Until it is disposed, on the same thread, layers are shown to it, after earlier observers.</summary>
    public LayerObserver(Sees sees)
    {
        _sees = sees;
        (_present ??= []).Add(this);
    }

    /// <summary>Whether there are any on this thread.</summary>
    public static bool IsPresent => _present is { Count: > 0 };

    /// <summary>Shows a layer to the observers of this thread.</summary>
    public static Tensor Show(Linear layer, Tensor input, Tensor output) =>
        _present is null ? output : _present.Aggregate(output, (z, observer) => observer._sees(layer, input, z));

    public void Dispose() => _present?.Remove(this);
}
