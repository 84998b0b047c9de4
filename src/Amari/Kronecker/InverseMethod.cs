namespace Amari.Kronecker;

/// <summary>How damped factors are inverted: a kind of <see cref="InverseOptions.Factored"/>.</summary>
internal enum InverseMethod
{
    /// <inheritdoc cref="InverseOptions.Cholesky"/>
    Cholesky,

    /// <inheritdoc cref="InverseOptions.NewtonSchulz"/>
    NewtonSchulz,

    /// <inheritdoc cref="InverseOptions.Auto"/>
    Auto,

    /// <inheritdoc cref="InverseOptions.Nystrom"/>
    Nystrom,
}
