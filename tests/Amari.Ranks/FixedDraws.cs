using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>Classes whose draws are a function of the output alone, so that ranks draw for their parts what one process draws for the whole
/// batch.</summary>
internal sealed class FixedDraws : Likelihood
{
    private readonly Categorical _classes = new();

    /// <summary>The third class after the likeliest.</summary>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var likeliest = output.argmax(-1);
        using var third = likeliest + 3;
        return third.remainder(output.shape[^1]);
    }

    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target) => _classes.SumNegativeLogLikelihood(output, target);

    public override Tensor Score(Tensor output, Tensor target) => _classes.Score(output, target);

    public override Tensor FisherRootProduct(Tensor output, Tensor v) => _classes.FisherRootProduct(output, v);

    public override Tensor FisherProduct(Tensor output, Tensor v) => _classes.FisherProduct(output, v);

    public override Tensor KlDivergence(Tensor output, Tensor other) => _classes.KlDivergence(output, other);
}
