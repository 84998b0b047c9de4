using Amari.Native;
using Amari.Solvers;

namespace Amari.Kronecker;

/// <summary>Fisher block of the scale γ and shift β of a normalisation layer s = γ x̂ + β: unit-wise, one 2 x 2 matrix for each pair (γ,
/// β).</summary>
/// <remarks>Unit-wise blocks are those of Ollivier 2015 (arXiv:1303.0818), for normalisation layers of Osawa et al. 2019
/// (arXiv:1811.12019).
/// <code>
/// p = (Σ g x̂, Σ g) : [terms, units, 2]   sums over the positions of one term, or of one example if an example is a term
/// F = Σ p p' / terms : [units, 2, 2],     U = (F + λ)⁻¹ V,   V = (∂γ, ∂β) : [units, 2];  without a shift 2 reads 1
/// </code>
/// They are exact: nothing is assumed but that units are apart, and, where one example has several terms, that positions are; so are the
/// uses of a layer that is used several times, which is reported. The damping is added as it is, whatever the <see cref="DampingMethod"/>.
/// <para>BatchNorm in training mode mixes the examples of a batch in x̂. γ and β act after that, so x̂ is data like any other input, taken
/// with the statistics of its batch; the gradient of an example is what arrives at its own place in s. That is exact unless a later layer
/// mixes examples again. Statistics are recomputed from the layer's input: the mode must not change between forward and
/// backward.</para></remarks>
internal sealed class NormBlock(string name, nn.Module<Tensor, Tensor> layer, bool hasBias) : CurvatureBlock(name, hasBias, "F")
{
    public override string Kind => $"unit-wise {layer.GetType().Name}";

    protected override Parameter Weight =>
        layer switch
        {
            LayerNorm l => l.weight,
            GroupNorm l => l.weight,
            NormBase l => l.weight,
            _ => throw new NotSupportedException(layer.GetType().Name),
        };

    protected override Parameter? Bias =>
        layer switch
        {
            LayerNorm l => l.bias,
            GroupNorm l => l.bias,
            NormBase l => l.bias,
            _ => null,
        };

    public override int? ExampleDimensions => layer is LayerNorm l ? l.normalized_shape.Length : null;

    public override bool TakesExamples => false; // x̂ is of the whole batch

    public override bool JoinsPositions(FisherSettings settings) => settings.Kind != FisherKind.ForwardOnly;

    public override BlockSums Measure(Tensor x, Tensor g, Measurement what)
    {
        using var scope = NewDisposeScope();
        var (normal, gradient) = (Positions(Normalised(x)).to_type(FactorType), Positions(g).to_type(FactorType));
        if (what.ForwardOnly)
            gradient = ones_like(gradient);
        List<Tensor> p = HasBias ? [normal.mul_(gradient), gradient] : [normal.mul_(gradient)]; // each [n, r, units]
        p = p.ConvertAll(t => what.PerExample && !what.ForwardOnly ? t.sum(dim: 1) : t.flatten(0, 1));
        var sum = stack([.. p.Select(i => stack([.. p.Select(j => (i * j).sum(dim: 0))], -1))], -2);
        return new([sum.MoveToOuterDisposeScope()], what.ForwardOnly ? p[0].shape[0] : 0);
    }

    public override (Tensor V, double Size) Gradient(Tensor x, Tensor g)
    {
        var (normal, b) = (Positions(Normalised(x)).to_type(FactorType), Positions(g).to_type(FactorType));
        List<Tensor> p = HasBias ? [normal * b, b] : [normal * b];
        return (stack(p.ConvertAll(t => t.sum([0L, 1])), -1), stack(p.ConvertAll(t => t.abs().sum([0L, 1])), -1).norm().ToDouble());
    }

    /// <summary>x̂, with the shape of x.</summary>
    private Tensor Normalised(Tensor x) =>
        layer switch
        {
            LayerNorm l => nn.functional.layer_norm(x, l.normalized_shape, null, null, l.eps),
            GroupNorm l => nn.functional.group_norm(x, l.num_groups, null, null, l.eps),
            NormBase { running_mean: { } mean, running_var: { } variance, training: false } l => nn.functional.batch_norm(
                x,
                mean,
                variance,
                null,
                null,
                false,
                0,
                l.eps
            ),
            NormBase l => nn.functional.batch_norm(x, null, null, null, null, true, 0, l.eps),
            _ => throw new NotSupportedException(layer.GetType().Name),
        };

    /// <summary>[n, r.., units..] or [n, units, r..] → [n, r, units].</summary>
    private Tensor Positions(Tensor t)
    {
        long units = Weight.numel();
        return layer is LayerNorm l
            ? t.reshape(t.dim() == l.normalized_shape.Length ? 1 : t.shape[0], -1, units)
            : t.reshape(t.shape[0], units, -1).transpose(1, 2);
    }

    protected override double Scale(int factor, double rows, double? outputScale) => outputScale ?? 1 / rows;

    public override (BlockInverse Inverse, List<string> Messages) Invert(
        DampingMethod method,
        double damping,
        BlockInverse? previous,
        FactorInverter by,
        MatmulPrecision precision = MatmulPrecision.Full
    ) => UnitwiseInverse.Of(Factor(0)!, damping, previous as UnitwiseInverse);

    protected override double MeanEigenvalue => Factor(0)!.diagonal(0, -2, -1).mean().ToDouble();

    public override Tensor Apply(Tensor v) => UnitwiseInverse.Product(Factor(0)!, v);

    public override double SquaredNorm => Factor(0)!.square().sum().ToDouble();

    public override Tensor Join(IReadOnlyList<Tensor> gradients, params long[] batch) =>
        stack(gradients.Select(g => g.reshape([.. batch, -1]).to_type(FactorType)), -1);

    public override IReadOnlyList<Tensor> Split(Tensor v, params long[] batch) =>
        [.. Parameters.Select((p, i) => v.select(-1, i).reshape([.. batch, .. p.shape]))];

    public override IEnumerable<(string Name, long[] Tail)> Shapes()
    {
        long units = Weight.numel(),
            size = Parameters.Count;
        return [("F", [units, size, size]), ("Blocks", [units, size, size]), ("Momentum", [units, size])];
    }

    protected override BlockInverse? Restored(Func<string, Tensor?> find) => UnitwiseInverse.Restored(find);

    protected override Tensor WithoutBias(int factor, Tensor value) => value.narrow(-1, 0, 1).narrow(-2, 0, 1);
}
