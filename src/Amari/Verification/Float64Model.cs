using Amari.Native;

namespace Amari.Verification;

/// <summary>A model in float64 and in evaluation mode until disposal. Modules and parameters stay the same objects and get float64 copies
/// of their data. Disposal restores their data, gradients and modes bit by bit.</summary>
internal sealed class Float64Model : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly List<(Tensor Tensor, Tensor Data, Tensor? Gradient)> _saved = [];
    private readonly List<(nn.Module Module, bool Training)> _modes;

    public Float64Model(nn.Module model)
    {
        _modes = [.. model.modules().Prepend(model).Select(m => (m, m.training))];
        try
        {
            using var off = no_grad();
            foreach (var tensor in model.parameters().Concat<Tensor>(model.buffers()).Where(t => t.is_floating_point()))
            {
                var gradient = tensor is Parameter ? tensor.grad : null;
                var data = tensor.detach();
                _saved.Add((tensor, data, gradient));
                if (gradient is not null)
                    tensor.grad = null;
                TensorData.Set(tensor, data.to_type(ScalarType.Float64, copy: true));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
        model.eval();
    }

    public void Dispose()
    {
        using var off = no_grad();
        foreach (var (tensor, data, gradient) in Enumerable.Reverse(_saved)) // a tied tensor was saved twice: its own data was saved first
        {
            if (tensor is Parameter)
                tensor.grad = null;
            TensorData.Set(tensor, data);
            if (gradient is not null)
                tensor.grad = gradient;
        }
        foreach (var (module, training) in _modes)
            module.train(training); // train() sets submodules too: outer modules first
        _scope.Dispose();
    }
}
