using Amari.Curvature;
using Amari.Tests.KfacOptimizer;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Attention and recurrent cells built of Linear layers: factors summed over positions and uses, against gradients at every
/// use.</summary>
public sealed class LinearBlockSequenceTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public LinearBlockSequenceTests()
    {
        manual_seed(61);
        set_default_dtype(ScalarType.Float64);
    }

    public void Dispose()
    {
        set_default_dtype(ScalarType.Float32);
        _scope.Dispose();
    }

    /// <summary>A model that can note each use of its layers: the input, and something of zeros added to the output.</summary>
    private abstract class Noted : nn.Module<Tensor, Tensor>
    {
        protected Noted(string name)
            : base(name) { }

        public List<(string Layer, Tensor X, Tensor E)>? Uses { get; set; }

        protected Tensor Use(string name, Linear layer, Tensor x)
        {
            var s = layer.call(x);
            if (Uses is null)
                return s;
            var e = zeros_like(s).requires_grad_();
            Uses.Add((name, x.detach(), e));
            return s + e;
        }
    }

    private sealed class Attention : Noted
    {
        private readonly Linear query = nn.Linear(4, 4),
            key = nn.Linear(4, 4, hasBias: false),
            value = nn.Linear(4, 4),
            output = nn.Linear(4, 2);

        public Attention()
            : base("attention") => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            long n = x.shape[0],
                r = x.shape[1];
            Tensor Heads(Tensor t) => t.view(n, r, 2, 2).transpose(1, 2);
            var (q, k, v) = (Heads(Use("query", query, x)), Heads(Use("key", key, x)), Heads(Use("value", value, x)));
            var mixed = (q.matmul(k.mT) / Math.Sqrt(2)).softmax(-1).matmul(v);
            return Use("output", output, mixed.transpose(1, 2).reshape(n, r, 4));
        }
    }

    private sealed class Lstm : Noted
    {
        private readonly Linear gates = nn.Linear(6, 12),
            head = nn.Linear(3, 2);

        public Lstm()
            : base("lstm") => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            var (h, c) = (zeros(x.shape[0], 3), zeros(x.shape[0], 3));
            for (long t = 0; t < x.shape[1]; t++)
            {
                var s = Use("gates", gates, cat([x.select(1, t), h], 1)).chunk(4, 1);
                c = s[0].sigmoid() * c + s[1].sigmoid() * s[2].tanh();
                h = s[3].sigmoid() * c.tanh();
            }
            return Use("head", head, h);
        }
    }

    private sealed class Gru : Noted
    {
        private readonly Linear input = nn.Linear(3, 9),
            state = nn.Linear(3, 9),
            head = nn.Linear(3, 2);

        public Gru()
            : base("gru") => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            var h = zeros(x.shape[0], 3);
            for (long t = 0; t < x.shape[1]; t++)
            {
                var (i, s) = (Use("input", input, x.select(1, t)).chunk(3, 1), Use("state", state, h).chunk(3, 1));
                var z = (i[0] + s[0]).sigmoid();
                h = z * h + (1 - z) * (i[1] + (i[2] + s[2]).sigmoid() * s[1]).tanh();
            }
            return Use("head", head, h);
        }
    }

    public static TheoryData<string> Names => ["attention", "lstm", "gru"];

    private static (Noted Model, Tensor X) Make(string name) =>
        name switch
        {
            "attention" => (new Attention(), randn(3, 3, 4)),
            "lstm" => (new Lstm(), randn(4, 3, 3)),
            _ => (new Gru(), randn(4, 3, 3)),
        };

    [Theory, MemberData(nameof(Names))]
    public void Factors_are_sums_over_uses_and_positions(string name)
    {
        var (model, x) = Again();
        var f = model.call(x);
        long n = x.shape[0];
        using var optimizer = new Kfac(
            model,
            new()
            {
                Strict = true,
                LearningRate = 1e-3,
                Curvature = new() { Fisher = new FisherOptions.Exact() },
            },
            new Gaussian()
        );
        new Gaussian().Loss(model.call(x), zeros_like(f)).backward();
        optimizer.step();
        var state = optimizer.Snapshot().Tensors.ToDictionary(t => t.Key, t => t.Value.clone());
        (model, x) = Again(); // as it was before the step
        model.Uses = [];
        f = model.call(x);
        var uses = model.Uses;
        var gradients = f.flatten()
            .unbind()
            .Select(o => autograd.grad([o], [.. uses.Select(u => u.E)], retain_graph: true, allow_unused: true))
            .ToList();
        foreach (var group in uses.Select((u, i) => (Use: u, Index: i)).GroupBy(u => u.Use.Layer))
        {
            bool bias = ((Linear)model.named_children().First(c => c.name == group.Key).module).bias is not null;
            var rows = cat([.. group.Select(u => u.Use.X.reshape(-1, u.Use.X.shape[^1]))]);
            if (bias)
                rows = cat([rows, ones(rows.shape[0], 1)], 1);
            Assert.InRange(Dense.RelativeError(state[$"{group.Key}.A"], rows.T.mm(rows) / rows.shape[0]), 0, 1e-12);
            var g = cat([
                .. gradients
                    .SelectMany(c => group.Select(u => c[u.Index]).Where(t => !t.IsInvalid))
                    .Select(t => t.reshape(-1, t.shape[^1])),
            ]);
            Assert.InRange(Dense.RelativeError(state[$"{group.Key}.G"], g.T.mm(g) / n), 0, 1e-12);
        }

        (Noted, Tensor) Again()
        {
            manual_seed(61);
            return Make(name);
        }
    }

    [Theory, MemberData(nameof(Names))]
    public void They_train(string name)
    {
        var (model, x) = Make(name);
        using var optimizer = new Kfac(
            model,
            new()
            {
                StepRejection = true,
                Damping = 0.1,
                Step = new QuadraticStep { AdaptiveDamping = new() },
                Curvature = new()
                {
                    Fisher = new FisherOptions.Exact(),
                    Refresh = new() { InverseInterval = 1 },
                },
            },
            new Gaussian()
        );
        var y = randn(model.call(x).shape);
        double Loss() => (model.call(x) - y).square().mean().ToDouble();
        double before = Loss();
        for (int i = 0; i < 30; i++)
            optimizer.StepOnBatch(x, y);
        Assert.True(Loss() < 0.5 * before, $"{before} to {Loss()}");
    }

    private sealed class Native : nn.Module<Tensor, Tensor>
    {
        private readonly MultiheadAttention attention = nn.MultiheadAttention(4, 2, add_bias_kv: true);
        private readonly LSTM lstm = nn.LSTM(4, 4);
        private readonly Linear head = nn.Linear(4, 2);

        public Native()
            : base("native") => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            var (mixed, _) = attention.call(x, x, x, null!, false, null!);
            return head.call(lstm.call(mixed, null).Item1.mean([0]));
        }
    }

    [Fact]
    public void Native_recurrence_and_biased_attention_go_to_AdamW_with_a_reason()
    {
        set_default_dtype(ScalarType.Float32);
        var model = new Native();
        using var optimizer = new Kfac(model, likelihood: new Gaussian());
        var rows = optimizer.Coverage.Rows;
        Assert.All(
            rows.Where(r => r.Parameter.StartsWith("attention", StringComparison.Ordinal)),
            r =>
            {
                Assert.Equal("AdamW", r.Block);
                Assert.Contains("build it of Linear layers", r.Reason, StringComparison.Ordinal);
            }
        );
        Assert.All(
            rows.Where(r => r.Parameter.StartsWith("lstm", StringComparison.Ordinal)),
            r => Assert.Contains("the LSTM hides its projections", r.Reason, StringComparison.Ordinal)
        );
        Assert.Equal("K-FAC Linear", rows.Single(r => r.Parameter == "head.weight").Block);
        Assert.Equal(model.named_parameters().Count(), rows.Count);
        var before = Optimizers.Problem.Values(model.parameters());
        new Gaussian().Loss(model.call(randn(3, 5, 4)), randn(5, 2)).backward();
        optimizer.step();
        Assert.Equal(before.Length, before.Zip(Optimizers.Problem.Values(model.parameters())).Count(p => double.IsFinite(p.Second)));
        Assert.Throws<ArgumentException>(() => new Kfac(model, new() { Strict = true }, new Gaussian()));
    }
}
