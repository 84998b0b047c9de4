using Amari.Curvature;
using Amari.Distributed;

namespace Amari.Tests.Curvature;

/// <summary>Dense curvature by definition, one number or one term after the other, from plain torch: shares no code with the
/// library.</summary>
internal static class DenseCurvature
{
    /// <summary>-log p summed over the terms of a batch, from torch's own losses.</summary>
    public static Tensor Loss(Likelihood likelihood, Tensor f, Tensor y) =>
        likelihood switch
        {
            Categorical => -f.log_softmax(-1).gather(-1, y.unsqueeze(-1)).sum(),
            Bernoulli => -(y * f.sigmoid().log() + (1 - y) * (1 - f.sigmoid()).log()).sum(),
            Gaussian g => (f - y).square().sum() / (2 * g.Variance),
            _ => throw new NotSupportedException(),
        };

    /// <summary>Rows of the Hessian, each the gradient of one number of the gradient.</summary>
    public static Tensor Hessian(CurvatureCases.Case c, IReadOnlyList<Parameter> w)
    {
        using var scope = NewDisposeScope();
        backends.cuda.enable_flash_sdp(false); // it has no second derivative, on the CPU either
        var loss = c.Batches.Select(b => Loss(c.Likelihood, c.Model.call(b.X), b.Y)).Aggregate((p, q) => p + q) / Divisor(c);
        backends.cuda.enable_flash_sdp(true);
        var gradient = Flat(Derivative(loss, w, create: true), w);
        var rows = Enumerable
            .Range(0, (int)gradient.shape[0])
            .Select(i => gradient[i].requires_grad ? Flat(Derivative(gradient[i], w), w).detach() : zeros_like(gradient.detach()))
            .ToList();
        return stack(rows).MoveToOuterDisposeScope();
    }

    /// <summary>The mean or sum over terms of J' B J; B from the term's output [C] and target.</summary>
    public static Tensor Terms(CurvatureCases.Case c, IReadOnlyList<Parameter> w, Func<Tensor, Tensor, Tensor> b)
    {
        using var scope = NewDisposeScope();
        long d = w.Sum(p => p.numel());
        var sum = zeros(d, d, dtype: ScalarType.Float64);
        foreach (var (x, y) in c.Batches)
            for (long n = 0; n < x.shape[0]; n++)
            {
                var f = c.Model.call(x.narrow(0, n, 1));
                long positions = c.Likelihood is Categorical ? f.numel() / f.shape[^1] : 1;
                var outputs = f.reshape(positions, -1);
                for (long r = 0; r < positions; r++)
                {
                    var j = stack(Enumerable.Range(0, (int)outputs.shape[1]).Select(k => Flat(Derivative(outputs[r, k], w), w)).ToList());
                    sum.add_(j.T.mm(b(outputs[r].detach(), y[n].reshape(positions, -1)[r])).mm(j));
                }
            }
        return (sum / Divisor(c)).MoveToOuterDisposeScope();
    }

    /// <summary>Λ of one term.</summary>
    public static Tensor OutputFisher(Likelihood likelihood, Tensor f) =>
        likelihood switch
        {
            Categorical => f.softmax(0).diag() - f.softmax(0).outer(f.softmax(0)),
            Bernoulli => (f.sigmoid() * (1 - f.sigmoid())).diag(),
            Gaussian g => eye(f.shape[0], dtype: f.dtype) / g.Variance,
            _ => throw new NotSupportedException(),
        };

    /// <summary>s s' of one term's own target.</summary>
    public static Tensor ScoreSquare(Likelihood likelihood, Tensor f, Tensor y)
    {
        var g = f.clone().requires_grad_();
        var s = autograd.grad([Loss(likelihood, g, likelihood is Categorical ? y.squeeze(0) : y)], [g])[0];
        return s.outer(s);
    }

    private static long Divisor(CurvatureCases.Case c) =>
        c.Reduction == LossReduction.Sum ? 1 : c.Batches.Sum(b => c.Likelihood is Categorical ? b.Y.numel() : b.Y.shape[0]);

    private static IList<Tensor> Derivative(Tensor output, IReadOnlyList<Parameter> w, bool create = false) =>
        autograd.grad([output], [.. w], retain_graph: true, create_graph: create, allow_unused: true);

    private static Tensor Flat(IList<Tensor> gradients, IReadOnlyList<Parameter> w) =>
        cat([.. gradients.Zip(w, (g, p) => g.IsInvalid ? zeros(p.numel(), dtype: p.dtype) : g.reshape(-1))]);

    public static double RelativeError(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        double size = expected.norm().ToDouble(),
            error = (actual - expected).norm().ToDouble();
        return size == 0 ? error : error / size;
    }
}
