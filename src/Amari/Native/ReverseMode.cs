using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Derivatives in reverse mode, J'c, whose errors are exceptions. TorchSharp's own <c>autograd.grad</c> has no catch: any error in
/// it ends the process.</summary>
/// <remarks>This is libtorch's <c>torch.grad</c>, called from a function in TorchScript: the same numbers, bit for bit, at the same cost.
/// <c>autograd.backward(..., inputs)</c> throws too, but adds to the <c>grad</c> of the inputs, which are the user's. Thread-safe. What
/// a custom backward throws is among the errors (<see cref="GuardedBackward"/>).</remarks>
internal static class ReverseMode
{
    private const string Function = "derivative";

    // An error in this text would end the process, and so would a missing end of line.
    private const string Script = $$"""
        def {{Function}}(outputs: List[Tensor], inputs: List[Tensor], cotangents: List[Tensor],
            keep: bool, create: bool, unused: bool) -> List[Optional[Tensor]]:
            given: List[Optional[Tensor]] = []
            for c in cotangents:
                given.append(c)
            return torch.grad(outputs, inputs, given if len(given) > 0 else None, keep, create, unused)

        """;

    /// <summary>How many derivatives were taken on this thread; with those of users, if
    /// <see cref="GuardedFunctions.SeesDerivatives"/>.</summary>
    [ThreadStatic]
    public static long Calls;

    private static readonly Lazy<jit.CompilationUnit> Unit = new(() => jit.compile(Script));

    /// <summary>Σ over outputs of ∂⟨output, its cotangent⟩ / ∂input, for each input: a tensor of its shape, null where no output depends on
    /// it. The caller owns them.</summary>
    /// <param name="outputs">At least one; each has a graph.</param>
    /// <param name="inputs">Each needs a gradient.</param>
    /// <param name="cotangents">One for each output, of its shape; null where all outputs are scalars, for ones.</param>
    /// <param name="again">Whether to keep the graph.</param>
    /// <param name="createGraph">Whether the results have a graph of their own; the graph is then kept.</param>
    /// <exception cref="InvalidOperationException">There is no such derivative; one sentence says why, and what to do.</exception>
    public static IReadOnlyList<Tensor?> Derivative(
        Tensor[] outputs,
        Tensor[] inputs,
        Tensor[]? cotangents = null,
        bool again = false,
        bool createGraph = false
    )
    {
        return inputs.Length == 0 ? [] : Invoke(outputs, inputs, cotangents ?? [], again || createGraph, createGraph, unused: true);
    }

    /// <summary>The same with the arguments of <c>autograd.grad</c>.</summary>
    /// <exception cref="InvalidOperationException">As of <see cref="Derivative"/>; or no output depends on an input, and that is not
    /// allowed.</exception>
    public static IReadOnlyList<Tensor?> Invoke(
        Tensor[] outputs,
        Tensor[] inputs,
        Tensor[] cotangents,
        bool keep,
        bool createGraph,
        bool unused
    )
    {
        Calls++;
        try
        {
            var result = (object?[])Unit.Value.invoke(Function, outputs, inputs, cotangents, keep, createGraph, unused);
            return result as Tensor[] ?? Array.ConvertAll(result, t => (Tensor?)t);
        }
        catch (ExternalException e)
        {
            throw DerivativeFailure.Of(e);
        }
        finally
        {
            GC.KeepAlive(outputs); // TorchSharp passes no more than their handles
            GC.KeepAlive(inputs);
            GC.KeepAlive(cotangents);
        }
    }

    /// <summary>The backward pass of training: adds a loss's derivative to the <c>grad</c> of all that it depends on.</summary>
    /// <param name="loss">A scalar.</param>
    /// <exception cref="InvalidOperationException">It has no graph, or there is no such derivative; one sentence says why, and what to
    /// do.</exception>
    public static void Backward(Tensor loss)
    {
        if (!loss.requires_grad)
            throw DerivativeFailure.NoGraph();
        try
        {
            loss.backward();
        }
        catch (ExternalException e)
        {
            throw DerivativeFailure.Of(e);
        }
    }

    /// <summary>A backward pass for the sake of what is shown on its way (<see cref="GradientTap"/>).</summary>
    /// <param name="output">Has a graph.</param>
    /// <param name="cotangent">Of its shape.</param>
    /// <param name="leaf">The one leaf that it goes to, whose <c>grad</c> it adds to.</param>
    /// <param name="again">Whether to keep the graph.</param>
    /// <exception cref="InvalidOperationException">As of <see cref="Derivative"/>.</exception>
    public static void Propagate(Tensor output, Tensor cotangent, Tensor leaf, bool again = false)
    {
        try
        {
            autograd.backward([output], [cotangent], retain_graph: again, inputs: [leaf]);
        }
        catch (ExternalException e)
        {
            throw DerivativeFailure.Of(e);
        }
    }
}
