namespace Amari;

/// <content>The mode of the model, seen at its forward passes.</content>
public sealed partial class ScheduleFree
{
    private readonly nn.Module? _model = model; // here, and not in a constructor's body: the base adds groups before that
    private readonly Dictionary<nn.Module, bool> _followed = [];
    private readonly List<Action> _unhook = [];

    private protected override void Added(ParameterGroup<Options> group)
    {
        var handles = _model?.parameters().Select(p => p.Handle).ToHashSet();
        var module = handles is not null && group.Parameters.All(p => handles.Contains(p.Parameter.Handle)) ? _model : group.Module;
        if (module is not null && !_followed.ContainsKey(module))
            _followed[module] = Hook(module);
        if (module is null || !_followed[module])
            Log(
                "all",
                "parameters came without a module that can be followed: call Eval() before evaluating and Train() before training",
                Groups.Max(StepsOf)
            );
    }

    /// <summary>Hooks the model, and the modules in it: they may be called by themselves.</summary>
    /// <returns>Whether no parameter can be used before a hook has run: the model is hooked, or every module that has parameters of its
    /// own.</returns>
    private bool Hook(nn.Module model)
    {
        bool whole = Hook(model, () => Follow(model)),
            parts = true;
        foreach (var part in model.modules().Distinct().Where(m => !ReferenceEquals(m, model)))
            parts &= Hook(part, () => FollowInside(model)) || !part.parameters(recurse: false).Any();
        return whole || (parts && !model.parameters(recurse: false).Any());
    }

    private bool Hook(nn.Module module, Action follow)
    {
        switch (module)
        {
            case nn.Module<Tensor, Tensor> m:
                _unhook.Add(
                    m.register_forward_pre_hook(
                        (_, x) =>
                        {
                            follow();
                            return x;
                        }
                    ).remove
                );
                return true;
            case nn.Module<Tensor, Tensor, Tensor> m:
                _unhook.Add(
                    m.register_forward_pre_hook(
                        (_, x, y) =>
                        {
                            follow();
                            return (x, y);
                        }
                    ).remove
                );
                return true;
            case nn.Module<Tensor, Tensor, Tensor, Tensor> m:
                _unhook.Add(
                    m.register_forward_pre_hook(
                        (_, x, y, z) =>
                        {
                            follow();
                            return (x, y, z);
                        }
                    ).remove
                );
                return true;
            default:
                return false;
        }
    }

    private void Follow(nn.Module model)
    {
        FollowInside(model);
        if (model.training && !is_grad_enabled() && !Evaluating)
            Log(
                "all",
                "the model was called in training mode without gradients: what it gave is of the training point y, not of the average x",
                Groups.Max(StepsOf)
            );
    }

    private void FollowInside(nn.Module model)
    {
        if (!model.training)
            Eval();
        else if (is_grad_enabled())
            Train();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _unhook.ForEach(unhook => unhook());
        base.Dispose(disposing);
    }
}
