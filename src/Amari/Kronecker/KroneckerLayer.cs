using Amari.Kronecker;

namespace Amari;

/// <summary>A layer as K-FAC sees it: s = W ā at every position, ā the input there, with a 1 for the bias. For kinds of layers that K-FAC
/// does not know: see <see cref="BlockCatalog.Register"/>.</summary>
/// <remarks>With groups, inputs and outputs have a leading dimension [groups], and the rows of W are those of one group after the
/// other.</remarks>
/// <param name="Kind">What reports call it, e.g. <c>"masked linear"</c>.</param>
/// <param name="Weight">The name of W among the layer's own parameters: [out, ..]; what follows out is flattened to in.</param>
/// <param name="Bias">The name of b : [out] among them; null without one.</param>
/// <param name="Inputs">The layer's input → [n, r, in], n examples of r positions each. It may be a view.</param>
/// <param name="Outputs">The gradient at the layer's output → [n, r, out]. It may be a view.</param>
/// <param name="Groups">≥ 1.</param>
public sealed record KroneckerLayer(
    string Kind,
    string Weight,
    string? Bias,
    Func<Tensor, Tensor> Inputs,
    Func<Tensor, Tensor> Outputs,
    long Groups = 1
);

/// <summary>K-FAC block of a layer that describes itself.</summary>
internal sealed class DescribedBlock(string name, nn.Module layer, KroneckerLayer description, bool hasBias)
    : KroneckerBlock(name, hasBias, description.Groups)
{
    public override string Kind => $"K-FAC {description.Kind}";

    protected override Parameter Weight => layer.get_parameter(description.Weight)!;

    protected override Parameter? Bias => description.Bias is { } bias ? layer.get_parameter(bias) : null;

    protected override Tensor Inputs(Tensor x) => description.Inputs(x);

    protected override Tensor Outputs(Tensor g) => description.Outputs(g);
}
