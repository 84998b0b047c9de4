using Amari.Cli.Commands;
using Amari.Distributed;
using Amari.Native;

namespace Amari.Tests.KfacOptimizer;

/// <summary>What is reported of a model or a loss that K-FAC cannot be right for, and what is not.</summary>
public sealed class KfacWarningTests : IDisposable
{
    private const string Mismatch = "is not one of the likelihood";
    private readonly DisposeScope _scope = NewDisposeScope();

    public KfacWarningTests() => manual_seed(6);

    public void Dispose() => _scope.Dispose();

    private static string Error(Action action)
    {
        var before = Console.Error;
        using var writer = new StringWriter();
        Console.SetError(writer);
        try
        {
            action();
        }
        finally
        {
            Console.SetError(before);
        }
        return writer.ToString();
    }

    [Fact]
    public void A_warning_is_one_line_and_written_once()
    {
        string text = Error(() =>
        {
            Assert.True(Warnings.Once("first\nline"));
            Assert.False(Warnings.Once("first\nline"));
        });
        Assert.Equal("Amari: first line" + Environment.NewLine, text);
    }

    private sealed class Direct : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4),
            called_by_forward = nn.Linear(4, 3);

        public Direct()
            : base("direct") => RegisterComponents();

        public override Tensor forward(Tensor x) => called_by_forward.forward(first.call(x).tanh());
    }

    [Fact]
    public void A_layer_seen_by_forward_alone_is_reported_with_the_remedy()
    {
        string text = Error(() =>
        {
            for (int run = 0; run < 2; run++)
            {
                var model = new Direct();
                using var optimizer = new Kfac(model, null, new Categorical());
                for (int i = 0; i < 3; i++)
                    Step(model, optimizer, f => nn.functional.cross_entropy(f, randint(0, 3, [16])));
                Assert.Single(optimizer.Events, e => e.Subject == "called_by_forward");
            }
        });
        Assert.Equal(
            "Amari: K-FAC has no curvature of the layer called_by_forward: its input was not seen: "
                + "call layer.call(x) instead of layer.forward(x), inside the model's own call. AdamW trains it."
                + Environment.NewLine,
            text
        );
    }

    private static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, Func<Tensor, Tensor> loss, Tensor? x = null)
    {
        optimizer.zero_grad();
        loss(model.call(x ?? randn(16, 4))).backward();
        optimizer.step();
    }

    private static Tensor Classes(params long[] shape) => randint(0, 4, shape);

    private static Tensor Binary(Tensor f) => f.new_empty(f.shape).bernoulli_(0.3);

    private static Tensor Smooth(Tensor f) => nn.functional.cross_entropy(f, Classes(16), label_smoothing: 0.2);

    private static Tensor Ignored(Tensor f)
    {
        var y = Classes(16);
        y.narrow(0, 0, 9).fill_(-100);
        return nn.functional.cross_entropy(f, y);
    }

    private static Tensor Weighted(Tensor f) =>
        (nn.functional.cross_entropy(f, Classes(16), reduction: nn.Reduction.None) * rand(16).pow(8)).sum();

    private static Tensor Focal(Tensor f)
    {
        var log = f.log_softmax(1).gather(1, Classes(16).unsqueeze(1));
        return -((1 - log.exp()).pow(2) * log).mean();
    }

    /// <summary>Losses of a likelihood, in the forms that people use.</summary>
    private static readonly Dictionary<string, (Likelihood Likelihood, Func<Tensor, Tensor> Loss)> Right = new()
    {
        ["classes"] = (new Categorical(), f => nn.functional.cross_entropy(f, Classes(16))),
        ["classes, summed"] = (new Categorical(), f => nn.functional.cross_entropy(f, Classes(16), reduction: nn.Reduction.Sum)),
        ["classes, a scaled loss"] = (new Categorical(), f => 65536 * nn.functional.cross_entropy(f, Classes(16))),
        ["classes, label smoothing"] = (new Categorical(), Smooth),
        ["classes, ignored labels"] = (new Categorical(), Ignored),
        ["classes, all labels ignored"] = (
            new Categorical(),
            f => nn.functional.cross_entropy(f, full([16], -100, ScalarType.Int64), reduction: nn.Reduction.Sum)
        ),
        ["classes, class weights"] = (
            new Categorical(),
            f => nn.functional.cross_entropy(f, Classes(16), weight: tensor([0.1f, 1, 10, 100]))
        ),
        ["classes, weights of examples"] = (new Categorical(), Weighted),
        ["classes, focal loss"] = (new Categorical(), Focal),
        ["classes, distilled"] = (new Categorical(), f => nn.functional.kl_div((f / 3).log_softmax(1), randn_like(f).softmax(1))),
        ["classes, a penalty of the logits"] = (
            new Categorical(),
            f => nn.functional.cross_entropy(f, Classes(16)) + 0.01 * f.square().sum(1).mean() + 1e-3 * f.logsumexp(1).square().mean()
        ),
        ["classes, the gradient of a NaN"] = (new Categorical(), f => (f * double.NaN).sum()),
        ["binary"] = (new Bernoulli(), f => nn.functional.binary_cross_entropy_with_logits(f, Binary(f))),
        ["binary, soft labels, weights"] = (
            new Bernoulli(),
            f =>
                nn.functional.binary_cross_entropy_with_logits(
                    f,
                    rand_like(f),
                    weight: rand_like(f).pow(6),
                    pos_weights: tensor([1f, 5, 50, 500])
                )
        ),
        ["binary, one-hot"] = (
            new Bernoulli(),
            f => nn.functional.binary_cross_entropy_with_logits(f, nn.functional.one_hot(Classes(16), 4).to_type(f.dtype))
        ),
        ["binary, non-saturating"] = (new Bernoulli(), f => nn.functional.softplus(-f).mean()),
        ["squares"] = (new Gaussian(), f => nn.functional.mse_loss(f, 100 * randn_like(f))),
        ["counts"] = (new Poisson(), f => (f.exp() - randint(0, 90, f.shape) * f).mean()),
        ["mean and variance"] = (new HeteroscedasticGaussian(), f => new HeteroscedasticGaussian().Loss(f, randn(16, 2))),
    };

    public static TheoryData<string> RightLosses => [.. Right.Keys];

    [Theory, MemberData(nameof(RightLosses))]
    public void A_loss_of_the_likelihood_raises_no_alarm(string name)
    {
        var (likelihood, loss) = Right[name];
        foreach (bool zero in new[] { false, true })
        foreach (bool once in new[] { false, true })
        {
            var head = nn.Linear(6, 4);
            if (zero)
                using (no_grad())
                    foreach (var p in head.parameters())
                        p.zero_();
            var model = nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", head));
            using var optimizer = new Kfac(model, new() { Step = new AutoStep { KlClip = 1e-4 } }, likelihood);
            for (int i = 0; i < 5; i++)
            {
                optimizer.zero_grad();
                for (int k = 0; k < (once ? 1 : 3); k++)
                    (loss(model.call(randn(16, 4))) / 3).backward();
                optimizer.step();
            }
            Assert.DoesNotContain(optimizer.Events, e => e.Message.Contains(Mismatch, StringComparison.Ordinal));
        }
    }

    /// <summary>Losses of another likelihood than the one given.</summary>
    private static readonly Dictionary<string, (Likelihood Likelihood, Func<Tensor, Tensor> Loss)> Wrong = new()
    {
        ["squares as classes"] = (
            new Categorical(),
            f => nn.functional.mse_loss(f, nn.functional.one_hot(Classes(16), 4).to_type(f.dtype))
        ),
        ["regression as classes"] = (new Categorical(), f => nn.functional.mse_loss(f, randn_like(f))),
        ["binary as classes"] = (new Categorical(), f => nn.functional.binary_cross_entropy_with_logits(f, Binary(f))),
        ["classes as binary"] = (new Bernoulli(), f => nn.functional.cross_entropy(f, Classes(16))),
        ["classes as numbers"] = (new Gaussian(), f => nn.functional.cross_entropy(f, Classes(16))),
        ["classes as counts"] = (new Poisson(), f => nn.functional.cross_entropy(f, Classes(16))),
        ["means alone"] = (new HeteroscedasticGaussian(), f => nn.functional.mse_loss(f.narrow(1, 0, 2), randn(16, 2))),
    };

    public static TheoryData<string> WrongLosses => [.. Wrong.Keys];

    [Theory, MemberData(nameof(WrongLosses))]
    public void A_loss_of_another_likelihood_is_reported_once(string name)
    {
        var (likelihood, loss) = Wrong[name];
        Error(() =>
        {
            var model = nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 4)));
            using var optimizer = new Kfac(model, new() { Step = new AutoStep { KlClip = 1e-4 } }, likelihood);
            for (int i = 0; i < 8; i++)
                Step(model, optimizer, loss);
            var logged = Assert.Single(optimizer.Events, e => e.Message.Contains(Mismatch, StringComparison.Ordinal));
            Assert.Contains(likelihood.GetType().Name, logged.Message, StringComparison.Ordinal);
            Assert.Equal(3, logged.Step);
            Assert.False(Warnings.Once($"K-FAC: {logged.Message}."));
        });
    }

    /// <summary>The Categorical takes logits, or logarithms of probabilities, in the last dimension.</summary>
    [Fact]
    public void Outputs_that_are_not_what_the_likelihood_takes_are_reported()
    {
        static bool IsReported(nn.Module<Tensor, Tensor> model, Func<Tensor, Tensor> loss, Tensor x)
        {
            bool result = false;
            Error(() =>
            {
                using var optimizer = new Kfac(model, null, new Categorical());
                for (int i = 0; i < 5; i++)
                    Step(model, optimizer, loss, x);
                result = optimizer.Events.Any(e => e.Message.Contains(Mismatch, StringComparison.Ordinal));
            });
            return result;
        }
        var (x, y) = (randn(16, 4), Classes(16));
        Assert.False(IsReported(nn.Sequential(("a", nn.Linear(4, 4)), ("s", nn.LogSoftmax(1))), f => nn.functional.nll_loss(f, y), x));
        Assert.True(IsReported(nn.Sequential(("a", nn.Linear(4, 4)), ("s", nn.Softmax(1))), f => nn.functional.nll_loss(f.log(), y), x));
        var images = randn(8, 1, 6, 6); // [n, classes, h, w] come of them
        Assert.True(IsReported(nn.Conv2d(1, 4, 3), f => nn.functional.cross_entropy(f, Classes(8, 4, 4)), images));
    }

    /// <summary>The generator's loss through a discriminator is no loss of the discriminator's likelihood, and does not count.</summary>
    [Fact]
    public void What_zero_grad_forgets_raises_no_alarm()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 4)));
        using var optimizer = new Kfac(model, null, new Categorical());
        for (int i = 0; i < 5; i++)
        {
            model.call(randn(16, 4)).square().mean().backward();
            Step(model, optimizer, f => nn.functional.cross_entropy(f, Classes(16)));
        }
        Assert.Empty(optimizer.Events);
    }
}
