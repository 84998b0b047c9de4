namespace Amari;

/// <summary>A fitted curve with its confidence band at given points.</summary>
/// <param name="Values">f(b, x) at every point.</param>
/// <param name="Lower">The lower end.</param>
/// <param name="Upper">The upper end.</param>
public sealed record CurveBand(IReadOnlyList<double> Values, IReadOnlyList<double> Lower, IReadOnlyList<double> Upper);
