namespace Amari;

/// <summary>Marks a tensor of a state that is kept in the group's <see cref="StateFormat"/>: a running mean shaped as the
/// parameter.</summary>
/// <remarks><see cref="GroupedOptimizer{TOptions, TState}.Update"/> sees it in full whatever the format.</remarks>
[AttributeUsage(AttributeTargets.Property)]
public sealed class MomentAttribute : Attribute
{
    /// <summary>Whether it is of squares: never negative, and kept above 0 where it is.</summary>
    public bool IsOfSquares { get; init; }
}
