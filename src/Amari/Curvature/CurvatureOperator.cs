using Amari.Kernels;
using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>The curvature of an <see cref="Objective"/> in its parameters, never formed: a sum over batches of products by backward
/// passes.</summary>
/// <remarks>The data is walked once per product, whatever the number of columns; memory does not grow with the number of batches.</remarks>
public abstract class CurvatureOperator : LinearOperator
{
    private protected CurvatureOperator(Objective objective)
    {
        ArgumentNullException.ThrowIfNull(objective);
        Objective = objective;
    }

    /// <summary>What it is the curvature of.</summary>
    public Objective Objective { get; }

    /// <inheritdoc/>
    public override long Dimension => Objective.Parameters.Dimension;

    /// <inheritdoc/>
    public override ScalarType Type => Objective.Parameters.Type;

    /// <inheritdoc/>
    public override Device Device => Objective.Parameters.Device;

    /// <summary>Whether gradients are differentiated with respect to the cotangent alone, which they are linear in, and not to the
    /// parameters.</summary>
    private protected abstract bool DifferentiatesCotangents { get; }

    /// <summary>C_n v for one batch n and chosen parameters w, column after column; made lazily.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="parameters">w: the rows and columns of C that are meant.</param>
    /// <param name="directions">Each v as tensors shaped as w.</param>
    /// <returns>Each C_n v as tensors shaped as w, null where they are zero; valid until the next is asked for.</returns>
    private protected abstract IEnumerable<IReadOnlyList<Tensor?>> Columns(
        Objective.Batch batch,
        Tensor[] parameters,
        IEnumerable<IReadOnlyList<Tensor>> directions
    );

    /// <inheritdoc/>
    protected override Tensor Product(Tensor v) =>
        Product(
            v,
            [
                [.. Enumerable.Range(0, Objective.Parameters.Parameters.Count)],
            ]
        );

    /// <summary>C V with the entries of C between different blocks of parameters taken as zero.</summary>
    /// <param name="v">V : [d, k].</param>
    /// <param name="blocks">Each by the indices of its parameters.</param>
    internal Tensor Product(Tensor v, IReadOnlyList<int[]> blocks)
    {
        var layout = Objective.Parameters;
        var tensors = layout.Tensors;
        var directions = Views(v.T.contiguous()); // a column's numbers lie together
        var total = zeros(v.shape[1], layout.Dimension, dtype: Type, device: Device);
        var sums = Views(total);
        using var convolutions = DifferentiatesCotangents ? new Convolutions(Objective.Model) : null;
        long terms = Objective.Walk(
            true,
            batch =>
            {
                try
                {
                    foreach (int[] block in blocks)
                        Add(batch, block);
                }
                catch
                {
                    convolutions?.ThrowFailure(); // the cause, of which the failure is a consequence
                    throw;
                }
                convolutions?.ThrowFailure();
                convolutions?.Release();
            }
        );
        Objective.AddOverRanks(total);
        return total.div_(Objective.Divisor(terms)).T.contiguous();

        void Add(Objective.Batch batch, int[] block)
        {
            using var scope = NewDisposeScope(); // the block's graph ends with it
            int k = 0;
            foreach (
                var parts in Columns(
                    batch,
                    [.. block.Select(i => tensors[i])],
                    directions.Select(d => (IReadOnlyList<Tensor>)[.. block.Select(i => d[i])])
                )
            )
            {
                foreach (var (i, part) in block.Zip(parts))
                    if (part is not null)
                        sums[k][i].add_(part);
                k++;
            }
        }

        List<IReadOnlyList<Tensor>> Views(Tensor rows) =>
            [.. Enumerable.Range(0, (int)v.shape[1]).Select(k => layout.Split(rows.select(0, k)))];
    }
}
