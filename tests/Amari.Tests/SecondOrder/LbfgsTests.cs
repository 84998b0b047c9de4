namespace Amari.Tests.SecondOrder;

/// <summary>L-BFGS: TorchSharp's own numbers, without what its class does beside.</summary>
public sealed class LbfgsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static Tensor Bowl(Tensor w) => (w[0] - 3).square() + 10 * (w[1] + 1).square() + 0.1 * (w[0] * w[1]).square();

    [Fact]
    public void Takes_the_steps_of_TorchSharp_s()
    {
        var (mine, other) = (nn.Parameter(tensor(new[] { 0.0, 0.0 })), nn.Parameter(tensor(new[] { 0.0, 0.0 })));
        using var optimizer = new Lbfgs([mine], new() { LearningRate = 0.5, Iterations = 6, History = 3 });
        using var loss = optimizer.step(() => Bowl(mine));
        Assert.Equal(19, loss.ToDouble(), 1e-12);
        var theirs = optim.LBFGS([other], 0.5, 6, tolerange_grad: 1e-7, history_size: 3);
        theirs.step(() =>
        {
            using var old = other.grad;
            other.grad = null;
            var l = Bowl(other);
            l.backward();
            return l;
        });
        Assert.Equal(Optimizers.Problem.Values([other]), Optimizers.Problem.Values([mine]));
        Assert.Equal(Bowl(mine).ToDouble(), optimizer.Report!.LossAfter, 1e-12);
        Assert.True(optimizer.Report.LossAfter < 3);
    }

    [Fact]
    public void What_a_closure_throws_arrives()
    {
        var w = nn.Parameter(tensor(new[] { 0.0, 0.0 }));
        using var optimizer = new Lbfgs([w]);
        int calls = 0;
        Assert.Equal("mine", Assert.Throws<InvalidOperationException>(() => optimizer.step(() => ++calls == 3 ? throw new InvalidOperationException("mine") : Bowl(w))).Message);
    }

    [Fact]
    public void Divergence_is_taken_back()
    {
        var w = nn.Parameter(tensor(new[] { 1.0 }));
        using var optimizer = new Lbfgs([w], new() { LearningRate = 100 });
        optimizer.step(() => w[0].square().exp() + w[0]).Dispose();
        Assert.Equal(StepOutcome.Rejected, optimizer.Report!.Outcome);
        Assert.Equal([1.0], Optimizers.Problem.Values([w]));
    }
}
