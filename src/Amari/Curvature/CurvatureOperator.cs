using System.Diagnostics.CodeAnalysis;
using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>The curvature of an <see cref="Objective"/> with respect to its parameters, without forming the matrix: a sum over batches of
/// products by backward passes.</summary>
/// <remarks>A product iterates over the data once, for any number of columns. Memory does not grow with the number of batches, except in a
/// run, up to <see cref="Objective.GraphBudget"/>.</remarks>
[SuppressMessage("Design", "CA1001", Justification = "Whoever begins a run owns it, and its end disposes the graphs.")]
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

    /// <summary>Whether the graphs are of derivatives that are linear in a cotangent u = 0, and only differentiated with respect to
    /// it.</summary>
    private protected abstract bool DifferentiatesCotangents { get; }

    /// <summary>v → C_n v for one batch n and chosen parameters w. The graph that its products share is in the current dispose
    /// scope.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="parameters">w: the parameters of the rows and columns of C.</param>
    /// <returns>A map of tensors with the shapes of w, which gives null for zeros; null if all is zero.</returns>
    private protected abstract BatchProduct? Linearize(Objective.Batch batch, Tensor[] parameters);

    /// <summary>Begins a run of products, in which the graph of a batch is made once, as far as memory allows
    /// (<see cref="Objective.GraphBudget"/>). It is made again when a parameter or buffer of the model has changed. The data must stay the
    /// same. A plain function is evaluated for each product all the same.</summary>
    public override IDisposable BeginRun()
    {
        if (_run is not null)
            return new Run(null);
        _run = new(Objective, Objective.GraphBudget);
        return new Run(this);
    }

    /// <summary>How many batches have a graph that is kept; 0 outside of a run.</summary>
    public int KeptBatches => _run?.Count ?? 0;

    /// <summary>The memory of these graphs, measured, in bytes.</summary>
    public long KeptBytes => _run?.Bytes ?? 0;

    /// <summary>Why not all graphs are kept in this run; null if they are, or outside of a run.</summary>
    public string? Fallback => _run?.Fallback;

    private BatchGraphs? _run;

    private sealed class Run(CurvatureOperator? of) : IDisposable
    {
        public void Dispose()
        {
            of?._run?.Dispose();
            of?._run = null;
            of = null;
        }
    }

    private int[][] Whole =>
        field ??= [
            [.. Enumerable.Range(0, Objective.Parameters.Parameters.Count)],
        ];

    /// <inheritdoc/>
    protected override Tensor Product(Tensor v) => Product(v, Whole);

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
        using var once = _run is null ? new BatchGraphs(Objective, 0) : null;
        var graphs = (_run ?? once)!;
        graphs.Convolutions.OfZeros = false;
        graphs.Require(blocks);
        using var watched = graphs.Whole is null ? graphs.Convolutions.Watch() : null;
        long terms = Objective.Walk(
            true,
            batch =>
            {
                try
                {
                    for (int i = 0; i < blocks.Count; i++)
                        Add(batch, i);
                }
                catch
                {
                    graphs.Convolutions.ThrowFailure(); // the cause of the failure
                    throw;
                }
                graphs.Convolutions.ThrowFailure();
            },
            graphs
        );
        Objective.AddOverRanks(total);
        return total.div_(Objective.Divisor(terms)).T; // its columns are dense, as solvers want them

        void Add(Objective.Batch batch, int b)
        {
            int[] block = blocks[b];
            using var scope = NewDisposeScope(); // frees the block's graph
            if (
                graphs.Product(
                    batch,
                    b,
                    () =>
                    {
                        graphs.Convolutions.OfZeros = DifferentiatesCotangents;
                        var product = Linearize(batch, [.. block.Select(i => tensors[i])]);
                        graphs.Convolutions.OfZeros = false;
                        return product;
                    }
                )
                is not { } product
            )
                return;
            for (int k = 0; k < directions.Count; k++)
            {
                using var column = NewDisposeScope();
                foreach (var (i, part) in block.Zip(product([.. block.Select(i => directions[k][i])])))
                    if (part is not null)
                        sums[k][i].add_(part);
            }
        }

        List<IReadOnlyList<Tensor>> Views(Tensor rows) =>
            [.. Enumerable.Range(0, (int)v.shape[1]).Select(k => layout.Split(rows.select(0, k)))];
    }
}
