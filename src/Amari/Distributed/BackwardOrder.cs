using Amari.Native;

namespace Amari.Distributed;

/// <summary>Reports during a backward pass which parameters have their complete gradient.</summary>
/// <remarks>Autograd on the CPU runs operations in reverse order of creation and adds to a parameter's gradient immediately. So once the
/// gradient of a layer's output arrives, every parameter that was first used in a later layer is complete. Each layer's output passes
/// through an identity function that reports in its backward pass.</remarks>
internal sealed class BackwardOrder : IDisposable
{
    private readonly List<Action> _unhook = [];
    private readonly List<nint> _used = []; // parameters in the order of first use in this pass
    private readonly HashSet<nint> _complete = [];
    private readonly Tensor _probe = zeros(1, requires_grad: true).DetachFromDisposeScope();
    private readonly Action<IReadOnlySet<nint>> _report;

    public BackwardOrder(nn.Module model, Action<IReadOnlySet<nint>> report)
    {
        _report = report;
        // A module with children may use its own parameters before them. Its hook runs after them, so it reports nothing.
        foreach (var module in model.modules().Append(model).Where(m => !m.children().Any() && m.named_parameters(recurse: false).Any()))
            if (module is nn.Module<Tensor, Tensor> layer)
                _unhook.Add(layer.register_forward_hook((_, _, output) => OnOutput(layer, output)).remove);
    }

    /// <summary>Whether the training loss's own backward pass is next. Other backward passes, such as K-FAC's, report nothing.</summary>
    public bool IsArmed { get; set; }

    /// <summary>The exception of a callback. Exceptions must not cross autograd's native frames.</summary>
    public Exception? Failure { get; private set; }

    private Tensor OnOutput(nn.Module layer, Tensor output)
    {
        if (!is_grad_enabled() || TrainingPasses.AreSuspended || !output.requires_grad)
            return output; // measuring curvature differentiates twice
        foreach (var (_, p) in layer.named_parameters(recurse: false))
            if (!_used.Contains(p.Handle))
                _used.Add(p.Handle);
        int here = _used.Count; // parameters used so far are incomplete when the output's gradient arrives
        return GradientTap.On(output, _probe, _ => OnGradient(here));
    }

    private void OnGradient(int here)
    {
        if (!IsArmed || Failure is not null)
            return;
        try
        {
            int count = _complete.Count;
            for (int i = here; i < _used.Count; i++)
                _complete.Add(_used[i]);
            if (_complete.Count > count)
                _report(_complete);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Failure = e;
        }
    }

    /// <summary>Ends the pass. Throws the exception of a callback, if any.</summary>
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
