namespace Amari.Tests.SecondOrder;

/// <summary>A model of tokens whose EmbeddingBag has a first derivative, but no second.</summary>
internal sealed class Bag : nn.Module<Tensor, Tensor>
{
    private readonly EmbeddingBag _bag = nn.EmbeddingBag(10, 4);
    private readonly Linear _linear = nn.Linear(4, 3);

    public Bag()
        : base(nameof(Bag)) => RegisterComponents();

    public override Tensor forward(Tensor x) => _linear.call(_bag.call(x, null, null));
}
