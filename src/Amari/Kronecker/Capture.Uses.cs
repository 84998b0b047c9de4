using Amari.Curvature;
using Amari.Native;

namespace Amari.Kronecker;

// Whether all that a layer's parameters do is seen in its calls.
internal sealed partial class Capture
{
    private const double Near = 10; // in √ε of the dtype
    private const string Outside =
        "its parameters act outside of its calls, too (in a function?), or its input is changed after the call: its factors are of what "
        + "the calls show";
    private long _confirmations;

    /// <summary>Holds Σ g ā' over the uses of each layer against the gradient of its parameters, for a random cotangent, in the 1st, 2nd,
    /// 4th, 8th .. pass that is measured.</summary>
    private void Confirm(ForwardPass pass, Tensor f)
    {
        if (!long.IsPow2(++_confirmations) || _outstanding.Exists(u => u.Pass == pass && u.IsJet))
            return;
        using var scope = NewDisposeScope();
        var blocks = _outstanding.Where(u => u.Pass == pass).Select(u => u.Block).Distinct().ToList();
        blocks.RemoveAll(b => b.Parameters.Any(p => !p.requires_grad));
        using var generator = new Generator(1, f.device);
        var cotangent = rand(f.shape, dtype: f.dtype, device: f.device, generator: generator).sub_(0.5);
        foreach (var (block, expected) in blocks.Zip(Gradients(pass, f, cotangent, blocks, out var seen)))
        {
            var (v, size) = seen.Of(block);
            double difference = (v is null ? expected : expected - v).norm().ToDouble(),
                rounding = Math.Sqrt(finfo(block.Parameters[0].dtype).eps);
            if (double.IsFinite(difference) && difference > Near * rounding * size && Report(block, Outside))
                Warnings.Once($"K-FAC of the layer {block.Name}: {Outside}.");
        }
    }

    /// <summary>The gradients of blocks' parameters, joined; and what their uses show of them.</summary>
    private List<Tensor> Gradients(ForwardPass pass, Tensor f, Tensor cotangent, List<CurvatureBlock> blocks, out UseGradients seen)
    {
        seen = new();
        Parameter[] parameters = [.. blocks.SelectMany(b => b.Parameters)];
        using var kept = new KeptGradients(_model.parameters()); // of a layer that is computed again in its backward pass
        using var alone = SuspendOthers();
        pass.Confirmed = seen;
        try
        {
            var all = ReverseMode.Derivative([f], parameters, [cotangent], again: true);
            if (Failure is { } failure)
                throw Unmeasured(failure);
            var next = all.Zip(
                    parameters,
                    (g, p) =>
                        g is null ? zeros_like(p)
                        : g.is_sparse ? g.to_dense()
                        : g
                )
                .ToList();
            List<Tensor> joined = [];
            foreach (var block in blocks)
            {
                joined.Add(block.Join(next[..block.Parameters.Count]));
                next.RemoveRange(0, block.Parameters.Count);
            }
            return joined;
        }
        finally
        {
            pass.Confirmed = null;
        }
    }
}
