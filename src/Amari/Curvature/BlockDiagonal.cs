using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>The diagonal blocks of a curvature, one for each layer; what lies between different blocks is zero.</summary>
/// <remarks>The blocks are those of the full operator, to rounding (the draws of a Monte-Carlo Fisher too). A product walks the data once
/// and makes one forward pass; its backward passes are repeated for each block, each with respect to that block's parameters
/// only.</remarks>
public sealed class BlockDiagonal : LinearOperator
{
    private readonly CurvatureOperator _curvature;
    private readonly List<int[]> _blocks;

    /// <param name="curvature">A Hessian, Gauss-Newton or Fisher operator. Not owned.</param>
    /// <param name="block">From a parameter's name to its block's; by default the layer, that is the name without its last part.</param>
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

    /// <summary>The blocks with the names of their parameters, in the order of the layout.</summary>
    public IReadOnlyList<(string Name, IReadOnlyList<string> Parameters)> Blocks { get; }

    /// <inheritdoc/>
    public override long Dimension => _curvature.Dimension;

    /// <inheritdoc/>
    public override ScalarType Type => _curvature.Type;

    /// <inheritdoc/>
    public override Device Device => _curvature.Device;

    /// <inheritdoc/>
    protected override Tensor Product(Tensor v) => _curvature.Product(v, _blocks);

    private static string LayerOf(string parameter) => parameter.LastIndexOf('.') is var dot and >= 0 ? parameter[..dot] : "";
}
