using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;
using Amari.Verification;

namespace Amari;

/// <summary>How the uses of one weight at several positions r of an example enter its factors (Eschenhagen et al. 2023,
/// arXiv:2311.00636).</summary>
public enum WeightSharing
{
    /// <summary>K-FAC-expand: every position is a row of its own. Right where each position has its own loss term.</summary>
    Expand,

    /// <summary>K-FAC-reduce: one row an example, ā the mean and g the sum over positions. Right where an example's positions are pooled
    /// into one loss term, and cheaper. Embeddings keep every position.</summary>
    Reduce,
}
