namespace Amari.Kronecker;

/// <summary>K-FAC block of a linear layer: inputs [n, r.., in], outputs [n, r.., out]. Several layers of the same weight share one
/// block.</summary>
internal sealed class LinearBlock(string name, Linear layer, bool hasBias) : KroneckerBlock(name, hasBias)
{
    public override string Kind => "K-FAC Linear";

    protected override Parameter Weight => layer.weight!;

    protected override Parameter? Bias => layer.bias;

    public override int? ExampleDimensions => 1;

    protected override Tensor Inputs(Tensor x) => Positions(x);

    protected override Tensor Outputs(Tensor g) => Positions(g);

    private static Tensor Positions(Tensor t) => t.dim() == 1 ? t.view(1, 1, -1) : t.reshape(t.shape[0], -1, t.shape[^1]);
}
