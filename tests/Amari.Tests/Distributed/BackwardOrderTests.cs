using Amari.Distributed;
using Amari.Verification;

namespace Amari.Tests.Distributed;

/// <summary>The order in which gradients are complete.</summary>
public sealed class BackwardOrderTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>A layer whose backward pass needs its output.</summary>
    private sealed class Scaled : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter scale = nn.Parameter(ones(4));

        public Scaled()
            : base("scaled") => RegisterComponents();

        public override Tensor forward(Tensor x) => (x * scale).tanh();
    }

    /// <summary>Data-parallel training with overlap looks at the outputs of layers in the same way.</summary>
    [Fact]
    public void Buckets_may_leave_during_the_backward_pass_of_output_saving_layers()
    {
        double[] Run(bool watched)
        {
            manual_seed(5);
            var model = nn.Sequential(("w", new Scaled()), ("b", nn.Linear(4, 3)), ("s", nn.LogSoftmax(1)));
            int complete = 0;
            using var order = watched ? new Amari.Distributed.BackwardOrder(model, done => complete = done.Count) { IsArmed = true } : null;
            model.call(randn(6, 4)).square().sum().backward();
            order?.Reset();
            if (watched)
                Assert.Equal(2, complete); // the Linear's parameters, before the gradient goes on to the first
            return Optimizers.Problem.Values(model.parameters().Select(p => p.grad!));
        }
        Assert.Equal(Run(false), Run(true));
    }
}
