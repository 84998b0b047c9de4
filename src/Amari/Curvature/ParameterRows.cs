namespace Amari.Curvature;

/// <summary>The columns of a Jacobian that belong to one parameter or to several that follow each other, in the rows of n examples with K
/// rows each. The row of example m and output k is m K + k.</summary>
/// <remarks>It owns its tensors. Results are fresh tensors that the caller owns.</remarks>
internal abstract class ParameterRows(long offset, long columns, long examples, long outputs) : IDisposable
{
    /// <summary>Of J's columns that are formed at a time.</summary>
    public const long ChunkBytes = 32L << 20;

    /// <summary>The first column.</summary>
    public long Offset { get; } = offset;

    /// <summary>How many columns.</summary>
    public long Columns { get; } = columns;

    /// <summary>n.</summary>
    public long Examples { get; } = examples;

    /// <summary>K.</summary>
    public long Outputs { get; } = outputs;

    /// <summary>n K.</summary>
    public long Rows => Examples * Outputs;

    /// <summary>Bytes held.</summary>
    public abstract long Bytes { get; }

    /// <summary>Bytes of a number.</summary>
    public abstract long ElementSize { get; }

    /// <summary>Columns can be formed in multiples of this.</summary>
    protected abstract long ColumnUnit { get; }

    /// <summary>J v : [n K], for v : [Columns].</summary>
    public abstract Tensor Apply(Tensor v);

    /// <summary>J'u : [Columns], for u : [n K].</summary>
    public abstract Tensor ApplyTransposed(Tensor u);

    /// <summary>A part of J, [count K, columns]; it may be a view.</summary>
    /// <param name="example">The first example.</param>
    /// <param name="count">How many examples.</param>
    /// <param name="column">The first column, counted from <see cref="Offset"/>: a multiple of <see cref="ColumnUnit"/>.</param>
    /// <param name="columns">How many; a multiple of <see cref="ColumnUnit"/>.</param>
    public abstract Tensor Form(long example, long count, long column, long columns);

    /// <summary>J ← s J.</summary>
    public abstract void Scale(double s);

    /// <summary>Writes J's columns into a matrix [count K, d] of the rows of some examples.</summary>
    public void WriteTo(Tensor rows, long example, long count)
    {
        foreach (var (column, columns) in Chunks(count * Outputs))
        {
            using var part = Form(example, count, column, columns);
            using var place = rows.narrow(1, Offset + column, columns);
            place.copy_(part);
        }
    }

    /// <summary>Adds J J₂' to a region of a Gram matrix [n K, n₂ K₂].</summary>
    /// <param name="other">J₂, of the same parameter; this object itself in a block on the diagonal.</param>
    /// <param name="region">Of a block on the diagonal, each panel up to its own last row is enough.</param>
    /// <param name="panels">The first example and the number of examples of panels of rows.</param>
    public virtual void AddGram(ParameterRows other, Tensor region, IReadOnlyList<(long First, long Count)> panels)
    {
        foreach (var (column, columns) in Chunks(Math.Max(Rows, other.Rows)))
        {
            using var scope = NewDisposeScope();
            var right = other.Form(0, other.Examples, column, columns);
            var left = ReferenceEquals(this, other) ? right : Form(0, Examples, column, columns);
            foreach (var (first, count) in panels)
            {
                long width = Width(other, first, count);
                region
                    .narrow(0, first * Outputs, count * Outputs)
                    .narrow(1, 0, width)
                    .addmm_(left.narrow(0, first * Outputs, count * Outputs), right.narrow(0, 0, width).t(), 1, 1);
            }
        }
    }

    /// <summary>How many columns of a panel of a Gram matrix are needed: on the diagonal those up to its last row.</summary>
    protected long Width(ParameterRows other, long first, long count) =>
        ReferenceEquals(this, other) ? (first + count) * Outputs : other.Rows;

    private IEnumerable<(long First, long Count)> Chunks(long rows)
    {
        long units = Math.Max(1, ChunkBytes / Math.Max(1, rows * ColumnUnit * ElementSize));
        for (long column = 0; column < Columns; column += units * ColumnUnit)
            yield return (column, Math.Min(units * ColumnUnit, Columns - column));
    }

    /// <summary>Takes its tensors out of dispose scopes.</summary>
    public abstract void Detach();

    public abstract void Dispose();
}
