namespace Amari;

/// <summary>K-FAC block of a linear layer: inputs [n, r.., in], outputs [n, r.., out]; every position is a row.</summary>
internal sealed class LinearBlock(string name, Linear layer, bool hasBias) : KroneckerBlock(name, hasBias)
{
    public override string Kind => "K-FAC Linear";

    protected override Parameter Weight => layer.weight!;

    protected override Parameter? Bias => layer.bias;

    protected override Tensor Inputs(Tensor x) => x.reshape(-1, x.shape[^1]);

    protected override Tensor Outputs(Tensor g) => g.reshape(-1, g.shape[^1]);
}
