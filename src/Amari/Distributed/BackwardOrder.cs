using Amari.Native;

namespace Amari.Distributed;

/// <summary>Tells during a backward pass which parameters have their whole gradient.</summary>
/// <remarks>Autograd on the CPU runs operations in the reverse order of their making, and adds to a parameter's gradient at once. So when
/// the gradient arrives at the output of a layer, every parameter that was first used in a later one is done. Each layer's output passes
/// through an identity function whose backward tells.</remarks>
internal sealed class BackwardOrder : IDisposable
{
    private readonly List<Action> _unhook = [];
    private readonly List<nint> _used = []; // parameters in the order of first use in this pass
    private readonly HashSet<nint> _complete = [];
    private readonly Tensor _probe = zeros(1, requires_grad: true).DetachFromDisposeScope();
    private readonly Action<IReadOnlySet<nint>> _tell;

    public BackwardOrder(nn.Module model, Action<IReadOnlySet<nint>> tell)
    {
        _tell = tell;
        // a module with children may use its own parameters before them: its hook, which comes after, tells nothing
        foreach (var module in model.modules().Append(model).Where(m => !m.children().Any() && m.named_parameters(recurse: false).Any()))
            if (module is nn.Module<Tensor, Tensor> layer)
                _unhook.Add(layer.register_forward_hook((_, _, output) => Seen(layer, output)).remove);
    }

    /// <summary>Whether the training loss's own backward pass is due; others, as K-FAC makes them, tell nothing.</summary>
    public bool IsArmed { get; set; }

    /// <summary>The failure of a callback, which may not cross autograd's native frames.</summary>
    public Exception? Failure { get; private set; }

    private Tensor Seen(nn.Module layer, Tensor output)
    {
        if (!is_grad_enabled() || TrainingPasses.AreSuspended || !output.requires_grad)
            return output; // curvature that is measured differentiates twice
        foreach (var (_, p) in layer.named_parameters(recurse: false))
            if (!_used.Contains(p.Handle))
                _used.Add(p.Handle);
        int here = _used.Count; // what was used up to here is not complete when the output's gradient comes
        return GradientTap.On(output, _probe, _ => Arrived(here));
    }

    private void Arrived(int here)
    {
        if (!IsArmed || Failure is not null)
            return;
        try
        {
            int count = _complete.Count;
            for (int i = here; i < _used.Count; i++)
                _complete.Add(_used[i]);
            if (_complete.Count > count)
                _tell(_complete);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Failure = e;
        }
    }

    /// <summary>Forgets the pass; throws what a callback met.</summary>
    public void Reset()
    {
        _used.Clear();
        _complete.Clear();
        IsArmed = false;
        if (Failure is not { } failure)
            return;
        Failure = null;
        throw new CommunicationException("Gradients could not be sent during the backward pass: " + failure.Message, failure);
    }

    public void Dispose()
    {
        foreach (var remove in _unhook)
            remove();
        _probe.Dispose();
    }
}
