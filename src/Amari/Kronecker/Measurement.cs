using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>What a block measures of one use of its layer.</summary>
/// <param name="First">Whether sums that depend on the inputs alone are due.</param>
/// <param name="PerExample">Whether an example is one loss term, so that its gradient is the sum over positions; else every position is a
/// term.</param>
/// <param name="WeightSharing">How positions are combined in Kronecker factors.</param>
/// <param name="Corrected">Whether second moments in the eigenbasis are due.</param>
/// <param name="ForwardOnly">Whether the gradients are taken as of unit covariance.</param>
/// <param name="Precision">What sums are computed in.</param>
/// <param name="IsJet">Whether positions are components of a jet, of which the first alone has the bias.</param>
internal readonly record struct Measurement(
    bool First,
    bool PerExample,
    WeightSharing WeightSharing,
    bool Corrected,
    bool ForwardOnly = false,
    MatmulPrecision Precision = MatmulPrecision.Full,
    bool IsJet = false
)
{
    private const long LeastPanelled = 512; // rows; with fewer, the calls of two threads for each panel cost what they save

    /// <summary>Σ r r' over the rows r : [.., rows, n].</summary>
    public Tensor Gram(Tensor rows)
    {
        if (Precision == MatmulPrecision.Full)
            return rows.shape[^2] >= LeastPanelled ? SymmetricProduct.Of(rows.mT, rows) : rows.mT.MatrixProduct(rows);
        var mean = rows.mean([-2], keepdim: true); // apart, for where it is large its rounding would drown the rest
        var shorter = (rows - mean).to_type(ScalarType.BFloat16);
        return shorter.mT.MatrixProduct(shorter).to_type(rows.dtype).add_(mean.mT.MatrixProduct(mean), alpha: rows.shape[^2]);
    }
}

/// <summary>Sums over one use of a layer, null where not due, and the number of rows of the inputs (0 if not due).</summary>
internal readonly record struct BlockSums(Tensor?[] Sums, double Rows)
{
    /// <summary>The same of no rows.</summary>
    public BlockSums Zeroed()
    {
        foreach (var t in Sums)
            t?.zero_();
        return this with { Rows = 0 };
    }
}
