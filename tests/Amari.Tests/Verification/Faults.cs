namespace Amari.Tests.Verification;

/// <summary>tanh whose backward is 1 % too large.</summary>
internal sealed class WrongTanh : autograd.SingleTensorFunction<WrongTanh>
{
    public override string Name => nameof(WrongTanh);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var y = ((Tensor)vars[0]).tanh();
        ctx.save_for_backward([y]);
        return y;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient) =>
        [gradient * (1 - ctx.get_saved_variables()[0].square()) * 1.01];
}

/// <summary>tanh whose backward throws.</summary>
internal sealed class ThrowingTanh : autograd.SingleTensorFunction<ThrowingTanh>
{
    public override string Name => nameof(ThrowingTanh);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) => ((Tensor)vars[0]).tanh();

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient) =>
        throw new NotSupportedException("no derivative here");
}

/// <summary>tanh whose backward is right, but has no graph of its own.</summary>
internal sealed class FirstOrderTanh : autograd.SingleTensorFunction<FirstOrderTanh>
{
    public override string Name => nameof(FirstOrderTanh);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var y = ((Tensor)vars[0]).tanh();
        ctx.save_for_backward([y]);
        return y;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient) =>
        [gradient * (1 - ctx.get_saved_variables()[0].detach().square())];
}

/// <summary>Two linear layers with a function between them.</summary>
internal sealed class Sandwich : nn.Module<Tensor, Tensor>
{
    private readonly Linear first = nn.Linear(4, 5),
        last = nn.Linear(5, 3);
    private readonly Func<Sandwich, Tensor, Tensor> _run;

    public Sandwich(Func<Tensor, Tensor> between)
        : this((m, x) => m.last.call(between(m.first.call(x)))) { }

    public Sandwich(Func<Sandwich, Tensor, Tensor> run)
        : base(nameof(Sandwich))
    {
        _run = run;
        RegisterComponents();
    }

    public Linear First => first;
    public Linear Last => last;

    public override Tensor forward(Tensor x) => _run(this, x);
}

/// <summary>Classes, with one thing said wrongly.</summary>
internal sealed class WrongCategorical(string fault) : Likelihood
{
    private readonly Categorical _right = new();

    private double Factor(string what) => fault == what ? 1.01 : 1;

    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target) => _right.SumNegativeLogLikelihood(output, target);

    public override Tensor Sample(Tensor output, Generator? generator = null) =>
        _right.Sample(fault == nameof(Sample) ? output * 1.5 : output, generator);

    public override Tensor Score(Tensor output, Tensor target) => _right.Score(output, target) * Factor(nameof(Score));

    public override Tensor FisherRootProduct(Tensor output, Tensor v) =>
        _right.FisherRootProduct(output, v) * Factor(nameof(FisherRootProduct));

    public override Tensor FisherProduct(Tensor output, Tensor v) => _right.FisherProduct(output, v) * Factor(nameof(FisherProduct));

    public override Tensor HessianProduct(Tensor output, Tensor target, Tensor v) =>
        _right.FisherProduct(output, v) * Factor(nameof(HessianProduct));

    public override Tensor KlDivergence(Tensor output, Tensor other) => _right.KlDivergence(output, other) * Factor(nameof(KlDivergence));
}
