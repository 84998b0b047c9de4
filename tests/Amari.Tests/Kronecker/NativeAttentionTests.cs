using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>TorchSharp's MultiheadAttention against attention written by hand of Linear layers with the same weights, and layers of the
/// user's own kind.</summary>
public sealed class NativeAttentionTests() : KfacTest(71)
{
    private const int Width = 4,
        Length = 5,
        Batch = 3;

    private sealed class Native : nn.Module<Tensor, Tensor>
    {
        public readonly MultiheadAttention attention;
        public readonly Linear head = nn.Linear(Width, 2);
        private readonly Tensor? _mask,
            _padding;
        private readonly bool _weights;

        public Native(int heads, bool bias, Tensor? mask, Tensor? padding, bool weights, double dropout = 0)
            : base("native")
        {
            (attention, _mask, _padding, _weights) = (nn.MultiheadAttention(Width, heads, dropout, bias), mask, padding, weights);
            RegisterComponents();
            attention.to(ScalarType.Float64); // which it is not made in
        }

        public override Tensor forward(Tensor x)
        {
            var t = x.transpose(0, 1);
            var (mixed, weights) = attention.call(t, t, t * 0.5, _padding!, _weights, _mask!);
            var y = head.call(mixed.mean([0]));
            return _weights ? y + weights.square().sum([1, 2]).unsqueeze(1) : y;
        }
    }

    private sealed class ByHand : nn.Module<Tensor, Tensor>
    {
        public readonly Linear q,
            k,
            v,
            o,
            head = nn.Linear(Width, 2);
        private readonly Tensor? _bias; // added to the scores
        private readonly int _heads;
        private readonly bool _weights;

        public ByHand(Native native, int heads, bool bias, Tensor? mask, Tensor? padding, bool weights)
            : base("by hand")
        {
            (q, k, v, o) = (
                nn.Linear(Width, Width, bias),
                nn.Linear(Width, Width, bias),
                nn.Linear(Width, Width, bias),
                nn.Linear(Width, Width, bias)
            );
            (_heads, _weights) = (heads, weights);
            RegisterComponents();
            using var off = no_grad();
            var own = native.named_parameters().ToDictionary(p => p.name, p => p.parameter);
            foreach (var (layer, i) in new[] { q, k, v }.Select((l, i) => (l, i)))
            {
                layer.weight!.copy_(own["attention.in_proj_weight"].narrow(0, i * Width, Width));
                if (bias)
                    layer.bias!.copy_(own["attention.in_proj_bias"].narrow(0, i * Width, Width));
            }
            o.weight!.copy_(own["attention.out_proj.weight"]);
            if (bias)
                o.bias!.copy_(own["attention.out_proj.bias"]);
            head.weight!.copy_(native.head.weight!);
            head.bias!.copy_(native.head.bias!);
            _bias = mask;
            if (padding is not null)
                _bias = (_bias ?? zeros(1)) + zeros(padding.shape).masked_fill(padding, double.NegativeInfinity).view(Batch, 1, 1, Length);
        }

        public override Tensor forward(Tensor x)
        {
            Tensor Split(Tensor t) => t.view(t.shape[0], t.shape[1], _heads, -1).permute(0, 2, 1, 3);
            var scores = Split(q.call(x)).matmul(Split(k.call(x)).mT) * Math.Pow(Width / _heads, -0.5);
            if (_bias is not null)
                scores = scores + _bias;
            var p = nn.functional.softmax(scores, -1);
            var y = head.call(o.call(p.matmul(Split(v.call(x * 0.5))).permute(0, 2, 1, 3).reshape(x.shape)).mean([1]));
            return _weights ? y + p.mean([1]).square().sum([1, 2]).unsqueeze(1) : y;
        }
    }

    public static TheoryData<int, bool, string, bool> Cases =>
        new()
        {
            { 1, true, "none", false },
            { 2, true, "none", false },
            { 4, true, "none", false },
            { 2, false, "none", false },
            { 2, true, "causal", false },
            { 2, true, "added", false },
            { 2, true, "padding", false },
            { 2, true, "none", true },
        };

    [Theory, MemberData(nameof(Cases))]
    public void Native_attention_is_trained_as_one_of_linear_layers(int heads, bool bias, string masked, bool weights)
    {
        var mask = masked switch
        {
            "causal" => full(Length, Length, double.NegativeInfinity).triu(1),
            "added" => randn(Length, Length),
            _ => null,
        };
        var padding = masked == "padding" ? arange(Length).unsqueeze(0).ge(tensor(new long[] { 3, 5, 4 }).unsqueeze(1)) : null;
        var native = new Native(heads, bias, mask, padding, weights);
        var hand = new ByHand(native, heads, bias, mask, padding, weights);
        foreach (var method in new[] { DampingMethod.FactoredTikhonov, DampingMethod.Eigenbasis })
        {
            Kfac.Options options = new()
            {
                Damping = 0.1,
                LearningRate = 0.3,
                Curvature = new()
                {
                    Fisher = new FisherOptions.Exact(),
                    Inverse = InverseOptions.Of(method),
                    Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                },
            };
            using var one = new Kfac(native, options with { Strict = true }, new Gaussian());
            using var other = new Kfac(hand, options, new Gaussian());
            for (int step = 0; step < 4; step++)
            {
                var (x, y) = (randn(Batch, Length, Width), randn(Batch, 2));
                foreach (var (model, optimizer) in new (nn.Module<Tensor, Tensor>, Kfac)[] { (native, one), (hand, other) })
                {
                    optimizer.zero_grad();
                    new Gaussian().Loss(model.call(x), y).backward();
                    optimizer.step();
                }
            }
            var own = native.named_parameters().ToDictionary(p => p.name, p => p.parameter);
            var expected = cat([hand.q.weight!, hand.k.weight!, hand.v.weight!]);
            Assert.InRange(Dense.RelativeError(own["attention.in_proj_weight"], expected), 0, 1e-9);
            Assert.InRange(Dense.RelativeError(own["attention.out_proj.weight"], hand.o.weight!), 0, 1e-9);
            if (bias)
                Assert.InRange(
                    Dense.RelativeError(own["attention.in_proj_bias"], cat([hand.q.bias!, hand.k.bias!, hand.v.bias!])),
                    0,
                    1e-9
                );
            Assert.InRange(Dense.RelativeError(native.head.weight!, hand.head.weight!), 0, 1e-9);
            Assert.Equal("K-FAC attention projections", one.Coverage.Rows.Single(r => r.Parameter == "attention.in_proj_weight").Block);
            Assert.Empty(one.Events);
        }
    }

    [Fact]
    public void Corrected_eigenvalues_train_native_attention()
    {
        var model = new Native(2, true, null, null, false);
        using var optimizer = new Kfac(
            model,
            new()
            {
                Damping = 0.1,
                Curvature = new() { Inverse = new InverseOptions.EigenvalueCorrection(), FactorBatchSize = 2 },
            },
            new Gaussian()
        );
        var (x, y) = (randn(Batch, Length, Width), randn(Batch, 2));
        double Loss() => new Gaussian().Loss(model.call(x), y).ToDouble();
        double before = Loss();
        for (int i = 0; i < 60; i++)
        {
            optimizer.zero_grad();
            new Gaussian().Loss(model.call(x), y).backward();
            optimizer.step();
        }
        Assert.True(Loss() < before, $"{before} to {Loss()}");
        Assert.Empty(optimizer.Events);
    }

    [Fact]
    public void Dropout_inside_the_call_leaves_it_to_AdamW_and_is_logged()
    {
        var model = new Native(2, true, null, null, false, dropout: 0.5);
        using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = new FisherOptions.Exact() } }, new Gaussian());
        for (int i = 0; i < 2; i++)
        {
            optimizer.zero_grad();
            new Gaussian().Loss(model.call(randn(Batch, Length, Width)), randn(Batch, 2)).backward();
            optimizer.step();
        }
        Assert.All(
            optimizer.Coverage.Rows.Where(r => r.Parameter.StartsWith("attention", StringComparison.Ordinal)),
            r =>
            {
                Assert.Equal("AdamW", r.Block);
                Assert.Contains("dropout inside it?", r.Reason, StringComparison.Ordinal);
            }
        );
        Assert.Equal(["attention.in_proj", "attention.out_proj"], optimizer.Events.Select(e => e.Subject).Order());
    }

    [Fact]
    public void Kronecker_factors_of_a_model_know_native_attention_too()
    {
        var native = new Native(2, true, null, null, false);
        var (x, y) = (randn(Batch, Length, Width), randn(Batch, 2));
        using var factors = new Amari.Curvature.KroneckerFactored(new(native, new Gaussian(), [(x, y)]));
        Assert.All(factors.Coverage.Rows, r => Assert.StartsWith("K-FAC", r.Block, StringComparison.Ordinal));
    }

    /// <summary>s = 2 W x.</summary>
    private sealed class Doubled : nn.Module<Tensor, Tensor>
    {
        public readonly Parameter kernel,
            shift;

        public Doubled(Linear like)
            : base("doubled")
        {
            (kernel, shift) = (new Parameter(like.weight!.detach().div(2)), new Parameter(like.bias!.detach().div(2)));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => (x.matmul(kernel.T) + shift) * 2;
    }

    private sealed class Misnamed : nn.Module<Tensor, Tensor>
    {
        public readonly Parameter kernel = new(randn(2, 2));

        public Misnamed()
            : base("misnamed") => RegisterComponents();

        public override Tensor forward(Tensor x) => x.matmul(kernel.T);
    }

    [Fact]
    public void Layer_of_ones_own_kind_has_a_block_once_it_is_registered()
    {
        var linear = nn.Linear(3, 2);
        var own = new Doubled(linear);
        Kfac.Options options = new()
        {
            Damping = 0.1,
            Step = new AutoStep { KlClip = null },
            Curvature = new() { Fisher = new FisherOptions.Exact() },
        };
        using (var before = new Kfac(nn.Sequential(("own", own)), options, new Gaussian()))
            Assert.All(
                before.Coverage.Rows,
                r => Assert.Contains("no K-FAC block for a parameter of Doubled", r.Reason, StringComparison.Ordinal)
            );
        BlockCatalog.Register<Doubled>(_ => new("doubled linear", "kernel", "shift", x => x.unsqueeze(1), g => 2 * g.unsqueeze(1)));
        var (x, y) = (randn(6, 3), randn(6, 2));
        var g = autograd.grad([new Gaussian().Loss(own.call(x), y)], [own.kernel, own.shift]);
        var model = nn.Sequential(("own", own));
        using var optimizer = new Kfac(model, options, new Gaussian());
        Assert.All(optimizer.Coverage.Rows, r => Assert.Equal("K-FAC doubled linear", r.Block));
        var start = own.kernel.detach().clone();
        new Gaussian().Loss(model.call(x), y).backward();
        optimizer.step();
        // A = mean ā ā', G = 4 I, in closed form
        var a = cat([x, ones(6, 1)], 1);
        var (factor, root) = (a.T.mm(a) / 6, Math.Sqrt(0.1));
        double pi = Math.Sqrt(factor.trace().ToDouble() / 4 / 4.0);
        var u = cat([g[0], g[1].unsqueeze(1)], 1).mm(linalg.inv(factor + pi * root * eye(4))) / (4 + root / pi);
        Assert.InRange(Dense.RelativeError(start - own.kernel, options.LearningRate * u.narrow(1, 0, 3)), 0, 1e-10);

        BlockCatalog.Register<Misnamed>(_ => new("misnamed", "weight", null, t => t.unsqueeze(1), t => t.unsqueeze(1)));
        var refused = Assert.Throws<ArgumentException>(() => new Kfac(nn.Sequential(("own", new Misnamed())), options, new Gaussian()));
        Assert.Contains("has no parameter 'weight'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("it has kernel", refused.Message, StringComparison.Ordinal);
    }
}
