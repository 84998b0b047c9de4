using Amari.Curvature;
using Amari.Optimizers;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>A small GPT (Radford et al. 2019: pre-norm blocks, causal attention, GELU) that predicts the next character of a
/// novel.</summary>
public sealed class CharTransformer : Workload
{
    private const int Context = 64,
        Width = 160,
        Heads = 5,
        Depth = 3;
    private const int Measured = 128, // as many as are held out, so that an evaluation takes about as long as three steps
        Tested = 128;

    /// <inheritdoc/>
    public override string Name => "char-transformer";

    /// <inheritdoc/>
    public override string Description =>
        "Pride and Prejudice by characters, windows of 64, GPT of 3 blocks (width 160, 5 heads), 962,475 parameters";

    /// <inheritdoc/>
    public override int BatchSize => 32;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new Categorical();

    /// <inheritdoc/>
    public override Metric Metric { get; } =
        new("accuracy", true, (f, y) => f.argmax(-1).eq(y).to_type(ScalarType.Float32).mean([1]).sum()) { Range = (0, 1) };

    /// <inheritdoc/>
    public override Target Target => new(Target.HeldOutLoss, 1.8);

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(60);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["kfac"] = new Dictionary<string, string>
            {
                ["Damping"] = "3e-4",
                ["Step.KlClip"] = "5e-4",
                ["Step.Momentum"] = "0.6",
                ["Curvature.Fisher"] = "Empirical",
                ["Curvature.Refresh.FactorInterval"] = "10",
                ["Curvature.Refresh.InverseInterval"] = "50",
            },
            ["routed-kfac"] = new Dictionary<string, string>
            {
                ["MatrixOptimizer.Damping"] = "3e-4",
                ["MatrixOptimizer.Step.KlClip"] = "5e-4",
                ["MatrixOptimizer.Step.Momentum"] = "0.6",
                ["MatrixOptimizer.Curvature.Fisher"] = "Empirical",
                ["MatrixOptimizer.Curvature.Refresh.FactorInterval"] = "10",
                ["MatrixOptimizer.Curvature.Refresh.InverseInterval"] = "50",
            },
            ["sgd"] = new Dictionary<string, string> { ["LearningRate"] = "0.1" },
            ["lion"] = new Dictionary<string, string> { ["LearningRate"] = "3e-4", ["Beta2"] = "0.954" },
            ["muon"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "1.4e-2",
                ["Momentum"] = "0.907",
                ["FallbackScale"] = "2.5e-2",
            },
            ["routed-muon"] = new Dictionary<string, string>
            {
                ["MatrixOptimizer.LearningRate"] = "1.4e-2",
                ["MatrixOptimizer.Momentum"] = "0.874",
                ["Fallback.LearningRate"] = "6.7e-4",
            },
            ["soap"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "1.7e-3",
                ["Beta1"] = "0.907",
                ["Beta2"] = "0.96",
            },
            ["lamb"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "1.8e-2",
                ["Beta1"] = "0.85",
                ["Beta2"] = "0.997",
            },
            ["sophia"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "4e-4",
                ["Beta1"] = "0.92",
                ["Gamma"] = "0.1",
            },
            ["sophia-hutchinson"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "4e-4",
                ["Beta1"] = "0.92",
                ["Gamma"] = "0.1",
            },
            ["adafactor"] = new Dictionary<string, string> { ["LearningRate"] = "1.8e-2", ["DecayPower"] = "0.53" },
            ["schedulefree-sgd"] = new Dictionary<string, string> { ["LearningRate"] = "5.6e-2", ["Beta1"] = "0.957" },
        };

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory) => PrideAndPrejudice.Load(Context, Measured, Tested);

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel() => new Gpt(PrideAndPrejudice.Characters.Length);

    /// <summary>[n, T] characters → [n, T, C] logits of the next.</summary>
    private sealed class Gpt : nn.Module<Tensor, Tensor>
    {
        private readonly Embedding _token,
            _position;
        private readonly ModuleList<Block> _blocks = new([.. Enumerable.Range(0, Depth).Select(_ => new Block())]);
        private readonly LayerNorm _norm = nn.LayerNorm(Width);
        private readonly Linear _head;

        public Gpt(int characters)
            : base(nameof(Gpt))
        {
            (_token, _position, _head) = (nn.Embedding(characters, Width), nn.Embedding(Context, Width), nn.Linear(Width, characters));
            foreach (var e in (Embedding[])[_token, _position])
                nn.init.normal_(e.weight!, 0, 0.02);
            register_module("token", _token);
            register_module("position", _position);
            register_module("blocks", _blocks);
            register_module("norm", _norm);
            register_module("head", _head);
        }

        public override Tensor forward(Tensor characters)
        {
            using var scope = NewDisposeScope();
            var positions = arange(characters.shape[1], device: characters.device).expand(characters.shape);
            var x = _token.call(characters) + _position.call(positions);
            foreach (var block in _blocks)
                x = block.call(x);
            return _head.call(_norm.call(x)).MoveToOuterDisposeScope();
        }
    }

    /// <summary>x + attention(norm x), then x + mlp(norm x).</summary>
    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private readonly LayerNorm _norm1 = nn.LayerNorm(Width),
            _norm2 = nn.LayerNorm(Width);
        private readonly Linear _qkv = nn.Linear(Width, 3 * Width),
            _out = nn.Linear(Width, Width);
        private readonly Linear _up = nn.Linear(Width, 4 * Width),
            _down = nn.Linear(4 * Width, Width);

        public Block()
            : base(nameof(Block))
        {
            register_module("norm1", _norm1);
            register_module("qkv", _qkv);
            register_module("out", _out);
            register_module("norm2", _norm2);
            register_module("up", _up);
            register_module("down", _down);
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            x = x + _out.call(Attention(_qkv.call(_norm1.call(x))));
            return (x + _down.call(nn.functional.gelu(_up.call(_norm2.call(x))))).MoveToOuterDisposeScope();
        }

        /// <summary>softmax(Q K' / √d, causal) V for every head: [n, T, 3 W] → [n, T, W].</summary>
        private static Tensor Attention(Tensor qkv)
        {
            long n = qkv.shape[0],
                t = qkv.shape[1];
            var parts = qkv.view(n, t, 3, Heads, Width / Heads).permute(2, 0, 3, 1, 4).unbind(0); // 3 x [n, heads, T, d]
            return nn
                .functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_casual: true)
                .transpose(1, 2)
                .reshape(n, t, Width);
        }
    }
}
