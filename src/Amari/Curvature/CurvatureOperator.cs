using Amari.Kernels;
using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>The curvature of an <see cref="Objective"/> with respect to its parameters, without forming the matrix: a sum over batches of
/// products by backward passes.</summary>
/// <remarks>A product iterates over the data once, for any number of columns. Memory does not grow with the number of batches.</remarks>
public abstract class CurvatureOperator : LinearOperator
{
    private protected CurvatureOperator(Objective objective)
    {
        ArgumentNullException.ThrowIfNull(objective);
        Objective = objective;
    }

    /// <summary>The function whose curvature this is.</summary>
    public Objective Objective { get; }

    /// <inheritdoc/>
    public override long Dimension => Objective.Parameters.Dimension;

    /// <inheritdoc/>
    public override ScalarType Type => Objective.Parameters.Type;

    /// <inheritdoc/>
    public override Device Device => Objective.Parameters.Device;

    /// <summary>Whether gradients are differentiated only with respect to the cotangent, in which they are linear, and not the
    /// parameters.</summary>
    private protected abstract bool DifferentiatesCotangents { get; }

    /// <summary>C_n v for one batch n and chosen parameters w, column by column, computed lazily.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="parameters">w: the parameters of the rows and columns of C.</param>
    /// <param name="directions">Each v as tensors with the shapes of w.</param>
    /// <returns>Each C_n v as tensors with the shapes of w, null for zeros. Valid until the next column is requested.</returns>
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

    /// <summary>C V with the entries of C between different blocks of parameters set to zero.</summary>
    /// <param name="v">V : [d, k].</param>
    /// <param name="blocks">The indices of each block's parameters.</param>
    internal Tensor Product(Tensor v, IReadOnlyList<int[]> blocks)
    {
        var layout = Objective.Parameters;
        var tensors = layout.Tensors;
        var directions = Views(v.T.contiguous()); // columns are contiguous
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
                    convolutions?.ThrowFailure(); // the cause of the failure
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
            using var scope = NewDisposeScope(); // frees the block's graph
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
