using System.Runtime.InteropServices;
using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>Custom functions of a user with a backward that throws. A failure here ends the process.</summary>
public sealed class GuardedBackwardTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public GuardedBackwardTests() => Assert.Null(TorchLibrary.Status.Unguarded);

    public void Dispose() => _scope.Dispose();

    /// <summary>The identity whose backward throws where the gradient is negative.</summary>
    internal sealed class Refusing : autograd.SingleTensorFunction<Refusing>
    {
        public override string Name => nameof(Refusing);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) => ((Tensor)vars[0]).clone();

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient) =>
            gradient.sum().ToSingle() < 0 ? throw new FormatException($"{gradient.sum().ToSingle()} is negative") : [gradient * 2];
    }

    [Fact]
    public void What_it_throws_is_the_error_of_the_derivative()
    {
        var x = ones(3).requires_grad_();
        for (int i = 0; i < 3; i++)
        {
            const string Words = "The backward of a custom function threw FormatException: -3 is negative";
            Assert.Equal(Words, Assert.Throws<ExternalException>(() => Refusing.apply(x).neg().sum().backward()).Message);
            Assert.Equal(Words, Assert.Throws<ExternalException>(() => autograd.grad([Refusing.apply(x).neg().sum()], [x])).Message);
            Assert.Contains(
                Words,
                Assert.Throws<InvalidOperationException>(() => ReverseMode.Derivative([Refusing.apply(x).neg().sum()], [x])).Message,
                StringComparison.Ordinal
            );
            Assert.Equal(6, autograd.grad([Refusing.apply(x).sum()], [x])[0].sum().ToSingle());
        }
        Assert.DoesNotContain(
            "negative",
            Assert.Throws<ExternalException>(() => ones(2, 3).mm(ones(2, 3))).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Threads_keep_theirs_apart_and_delegates_alive_while_another_collects()
    {
        bool done = false;
        var collector = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                GC.Collect();
                Thread.Sleep(1);
            }
        });
        collector.Start();
        Parallel.For(
            1,
            5,
            n =>
            {
                for (int i = 0; i < 20; i++)
                {
                    using var scope = NewDisposeScope();
                    var x = ones(n).requires_grad_();
                    var error = Assert.Throws<ExternalException>(() => Refusing.apply(x).neg().sum().backward());
                    Assert.EndsWith($"-{n} is negative", error.Message, StringComparison.Ordinal);
                    Refusing.apply(x).sum().backward();
                    Assert.Equal(2 * n, x.grad!.sum().ToSingle());
                }
            }
        );
        Volatile.Write(ref done, true);
        collector.Join();
    }
}
