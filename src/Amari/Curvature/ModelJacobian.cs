using System.Runtime.CompilerServices;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>Rows of the Jacobian of a model's outputs on the batches of an objective.</summary>
/// <remarks><code>
/// row (m, k) = ⟨c_mk, ∂f_m/∂w⟩     for example m and cotangent k of its output
/// </code>If all parameters belong to layers that <see cref="LayerCapture"/> sees, each k is one backward pass through a whole batch. One
/// more, for the parameters, is held against the rows: what a model does with its weights can depend on their values. Where a parameter is
/// of another kind, or the rows do not agree, each row is a backward pass through its example alone; for this model from then on.</remarks>
internal static class ModelJacobian
{
    private static readonly ConditionalWeakTable<nn.Module, Refusal> Refusals = [];

    /// <summary>Why a model with these parameters is taken one example at a time.</summary>
    private sealed record Refusal(string Parameters, string Reason);

    /// <summary>J. The caller owns it.</summary>
    /// <param name="objective">With a model.</param>
    /// <param name="cotangents">c of a batch: K tensors shaped as its output, of the same values in each walk. The output has a
    /// graph.</param>
    /// <param name="terms">Terms of all batches of all ranks.</param>
    /// <exception cref="ArgumentException">The output of an example depends on other examples of its batch.</exception>
    public static CapturedJacobian Of(Objective objective, Func<Objective.Batch, IReadOnlyList<Tensor>> cotangents, out long terms)
    {
        var (model, layout) = (objective.Model!, objective.Parameters);
        string name = string.Join(' ', layout.Parameters.Select(p => p.Name));
        string? reason = Refusals.TryGetValue(model, out var refusal) && refusal.Parameters == name ? refusal.Reason : null;
        if (reason is null)
        {
            if (Captured(objective, cotangents, out terms, out reason) is { } passes)
                return new(layout, passes);
            Refusals.AddOrUpdate(model, new(name, reason!));
            Warnings.Once($"rows of a Jacobian are computed one example at a time, because {reason}.");
        }
        return new(layout, OneByOne(objective, cotangents, out terms)) { Fallback = reason };
    }

    private static List<JacobianPass>? Captured(
        Objective objective,
        Func<Objective.Batch, IReadOnlyList<Tensor>> cotangents,
        out long terms,
        out string? reason
    )
    {
        terms = 0;
        using var capture = LayerCapture.TryStart(objective.Model!, objective.Parameters, out reason);
        if (capture is null)
            return null;
        List<JacobianPass> passes = [];
        string? failed = null;
        try
        {
            terms = objective.Walk(
                true,
                batch =>
                {
                    failed ??= capture.Add(objective, batch.Output, cotangents(batch), passes);
                    capture.Clear();
                }
            );
        }
        catch
        {
            Release();
            throw;
        }
        // the ranks fall back together
        if (objective.Ranks.Sum(failed is null ? 0 : 1)[0] == 0)
            return passes;
        reason = failed ?? "those of another rank are";
        Release();
        return null;

        void Release()
        {
            foreach (var rows in passes.SelectMany(p => p.Parts))
                rows.Dispose();
        }
    }

    private static List<JacobianPass> OneByOne(Objective objective, Func<Objective.Batch, IReadOnlyList<Tensor>> cotangents, out long terms)
    {
        using var scope = NewDisposeScope();
        var layout = objective.Parameters;
        List<(Tensor Output, Tensor[] Cotangents)> batches = [];
        terms = objective.Walk(
            true,
            batch =>
                batches.Add(
                    (
                        batch.Output.detach().DetachFromDisposeScope(),
                        [.. cotangents(batch).Select(c => c.detach().DetachFromDisposeScope())]
                    )
                )
        );
        scope.Attach(batches.SelectMany(b => b.Cotangents.Append(b.Output)));
        if (batches.Count == 0)
            return [];
        List<Tensor> parts =
        [
            .. batches.Select(b =>
                zeros(b.Output.shape[0] * b.Cotangents.Length, layout.Dimension, dtype: layout.Type, device: layout.Device)
            ),
        ];
        var (index, example) = (0, 0L);
        var examples = objective
            .Batches.Where(b => b.Inputs.shape[0] > 0)
            .SelectMany(b =>
                Enumerable.Range(0, (int)b.Inputs.shape[0]).Select(n => (b.Inputs.narrow(0, n, 1), b.Targets.narrow(0, n, 1)))
            );
        new Objective(objective.Model!, objective.Likelihood!, examples, layout).Walk(
            true,
            one =>
            {
                if (example == batches[index].Output.shape[0])
                    (index, example) = (index + 1, 0);
                var (output, rows) = batches[index];
                using (no_grad())
                    RequireIndependent(one.Output, output.narrow(0, example, 1));
                for (int k = 0; k < rows.Length; k++)
                {
                    using var inner = NewDisposeScope();
                    var derivative = objective.Derivative(one.Output, rows[k].narrow(0, example, 1).contiguous(), again: true);
                    using (no_grad())
                        parts[index].select(0, example * rows.Length + k).copy_(layout.Flatten(derivative));
                }
                example++;
            }
        );
        return
        [
            .. parts.Zip(
                batches,
                (j, b) =>
                    new JacobianPass(
                        b.Output.shape[0],
                        b.Cotangents.Length,
                        [new DenseRows(j.DetachFromDisposeScope(), 0, b.Output.shape[0])]
                    )
            ),
        ];
    }

    private static void RequireIndependent(Tensor alone, Tensor inBatch)
    {
        using var scope = NewDisposeScope();
        double scale = inBatch.norm().ToDouble() + alone.norm().ToDouble(),
            difference = alone.sub(inBatch).norm().ToDouble();
        if (difference > Math.Sqrt(finfo(alone.dtype).eps) * scale)
            throw new ArgumentException(
                "The model's output for an example depends on the other examples of its batch, as by batch normalisation without running "
                    + "statistics: rows of its Jacobian need examples that are independent of each other."
            );
    }
}
