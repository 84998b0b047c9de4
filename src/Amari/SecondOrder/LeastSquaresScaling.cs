namespace Amari;

/// <summary>The diagonal matrix D that scales the damping of a parameter: (J'J + λ D²) v = -J'r. The norm of a column of J says how
/// strongly the residuals depend on that parameter, in its unit.</summary>
public enum LeastSquaresScaling
{
    /// <summary>D ← max(0.9 D, column norms of J): follows where the norms fall.</summary>
    Decaying,

    /// <summary>D ← max(D, column norms of J) (Moré 1978).</summary>
    Columns,

    /// <summary>D = I.</summary>
    None,
}
