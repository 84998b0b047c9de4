using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>The diagonal blocks of a curvature, one per layer. Entries between different blocks are zero.</summary>
/// <remarks>The blocks equal those of the full operator up to rounding, including the draws of a Monte Carlo Fisher. A product iterates
/// over the data once, with one forward pass per batch. The backward passes are repeated for each block, with respect to the block's
/// parameters only.</remarks>
public sealed class BlockDiagonal : LinearOperator
{
    private readonly CurvatureOperator _curvature;
    private readonly List<int[]> _blocks;

    /// <param name="curvature">A Hessian, Gauss-Newton or Fisher operator. Not owned.</param>
    /// <param name="block">Maps a parameter's name to the name of its block. By default that is the layer: the name without its last
    /// part.</param>
    public BlockDiagonal(CurvatureOperator curvature, Func<string, string>? block = null)
    {
        ArgumentNullException.ThrowIfNull(curvature);
        _curvature = curvature;
        block ??= LayerOf;
        var parameters = curvature.Objective.Parameters.Parameters;
        var groups = Enumerable.Range(0, parameters.Count).GroupBy(i => block(parameters[i].Name)).ToList();
        _blocks = [.. groups.Select(g => g.ToArray())];
        Blocks = [.. groups.Select(g => (g.Key, (IReadOnlyList<string>)[.. g.Select(i => parameters[i].Name)]))];
    }

    /// <summary>The blocks and the names of their parameters, in the order of the layout.</summary>
    public IReadOnlyList<(string Name, IReadOnlyList<string> Parameters)> Blocks { get; }

    /// <inheritdoc/>
    public override long Dimension => _curvature.Dimension;

    /// <inheritdoc/>
    public override ScalarType Type => _curvature.Type;

    /// <inheritdoc/>
    public override Device Device => _curvature.Device;

    /// <inheritdoc/>
    public override IDisposable BeginRun() => _curvature.BeginRun();

    /// <inheritdoc/>
    protected override Tensor Product(Tensor v) => _curvature.Product(v, _blocks);

    private static string LayerOf(string parameter) => parameter.LastIndexOf('.') is var dot and >= 0 ? parameter[..dot] : "";
}
