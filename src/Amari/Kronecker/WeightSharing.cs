using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;
using Amari.Verification;

namespace Amari;

/// <summary>How the uses of one weight at several positions r of an example enter its factors (Eschenhagen et al. 2023,
/// arXiv:2311.00636).</summary>
public enum WeightSharing
{
    /// <summary>K-FAC-expand: every position is a separate row. For positions that each have their own loss term.</summary>
    Expand,

    /// <summary>K-FAC-reduce: one row per example, where ā is the mean and g the sum over its positions. For positions that are pooled into
    /// one loss term; it is cheaper. Embeddings keep every position.</summary>
    Reduce,
}
