using Amari.Curvature;
using Amari.Distributed;

namespace Amari.Tests.Curvature;

/// <summary>Small float64 problems that differ in what curvature code gets wrong.</summary>
internal static class CurvatureCases
{
    public sealed record Case(nn.Module<Tensor, Tensor> Model, Likelihood Likelihood, (Tensor X, Tensor Y)[] Batches)
    {
        public LossReduction Reduction { get; init; }

        public Objective Objective(Func<string, bool>? filter = null) =>
            new(Model, Likelihood, Batches, ParameterLayout.Of(Model, filter), Reduction);
    }

    public static TheoryData<string> Names => [.. Makers.Keys];

    public static Case Make(string name)
    {
        manual_seed(11);
        var made = Makers[name]();
        return made with { Model = made.Model.to(ScalarType.Float64) };
    }

    private static readonly Dictionary<string, Func<Case>> Makers = new()
    {
        ["mlp"] = () => new(Mlp(), new Categorical(), Classes(3, [4], 3, 4, 2)),
        ["mlp, sum"] = () => new(Mlp(), new Categorical(), Classes(3, [4], 3, 4, 2)) { Reduction = LossReduction.Sum },
        ["bernoulli"] = () => new(Mlp(), new Bernoulli(), Numbers([3], [4], binary: true, 3, 5)),
        ["gaussian"] = () => new(Mlp(), new Gaussian(0.7), Numbers([3], [4], binary: false, 3, 5)),
        ["linear in its parameters"] = () =>
            new(nn.Sequential(("a", nn.Linear(4, 3))), new Gaussian(), Numbers([3], [4], binary: false, 3, 2)),
        ["the model is a layer"] = () => new(nn.Linear(4, 3), new Categorical(), Classes(3, [4], 3)),
        ["no bias"] = () =>
            new(
                nn.Sequential(("a", nn.Linear(4, 3, hasBias: false)), ("t", nn.Tanh()), ("b", nn.Linear(3, 3, hasBias: false))),
                new Categorical(),
                Classes(3, [4], 2, 3)
            ),
        ["weight sharing"] = () => new(Mlp(), new Categorical(), Classes(3, [2, 4], 2, 3)),
        ["weight sharing, pooled"] = () => new(new Pooled(), new Gaussian(), Numbers([2], [3, 4], binary: false, 2, 3)),
        ["tied weights"] = () => new(new Tied(), new Categorical(), Classes(4, [4], 3, 2)),
        ["a layer used twice"] = () => new(new Twice(), new Categorical(), Classes(4, [4], 3, 2)),
        ["unused parameters"] = () => new(new Unused(), new Categorical(), Classes(3, [4], 3, 2)),
        ["frozen weight"] = () => new(Frozen(), new Categorical(), Classes(3, [4], 3, 2)),
        ["convolutions"] = () =>
            new(
                nn.Sequential(
                    ("c", nn.Conv2d(2, 2, 3, padding: 1)),
                    ("t", nn.ELU(inplace: true)),
                    ("p", nn.MaxPool2d(2)),
                    ("g", nn.Conv2d(2, 4, 2, stride: 1, groups: 2, bias: false)),
                    ("s", nn.Sigmoid()),
                    ("f", nn.Flatten()),
                    ("l", nn.Linear(4, 3))
                ),
                new Categorical(),
                Classes(3, [2, 5, 5], 2, 3)
            ),
        ["strided, dilated, padded convolutions"] = () =>
            new(
                nn.Sequential(
                    ("c", nn.Conv2d(2, 4, 3, stride: 2, padding: 1, bias: false)),
                    ("t", nn.Tanh()), // a row of the input is reached by no kernel
                    ("d", nn.Conv2d(4, 2, 2, dilation: 2, groups: 2)),
                    ("s", nn.Tanh()),
                    ("r", nn.Conv2d(2, 1, (3, 2), padding: (1, 1), padding_mode: PaddingModes.Circular)),
                    ("u", nn.Tanh()),
                    ("f", nn.Flatten()),
                    ("l", nn.Linear(6, 3))
                ),
                new Categorical(),
                Classes(3, [2, 8, 8], 2, 1)
            ),
        ["convolutions in a scope, one used twice, one hooked"] = () =>
            new(new Scoped(), new Gaussian(), Numbers([18], [2, 3, 3], binary: false, 2, 1)),
        ["norms and dropout"] = () =>
            new(
                nn.Sequential(
                    ("a", nn.Linear(4, 4)),
                    ("n", nn.BatchNorm1d(4)),
                    ("d", nn.Dropout(0.5)),
                    ("t", nn.Tanh()),
                    ("m", nn.LayerNorm(4)),
                    ("b", nn.Linear(4, 3))
                ),
                new Categorical(),
                Classes(3, [4], 3, 4)
            ),
        ["attention"] = () => new(new Attention(), new Categorical(), Classes(4, [3, 4], 2, 1)),
        ["rectified"] = () =>
            new(
                nn.Sequential(("a", nn.Linear(4, 5)), ("r", nn.ReLU(inplace: true)), ("b", nn.Linear(5, 3))),
                new Categorical(),
                Classes(3, [4], 3, 2)
            ),
    };

    public static nn.Module<Tensor, Tensor> Mlp() => nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));

    private static nn.Module<Tensor, Tensor> Frozen()
    {
        var first = nn.Linear(4, 5);
        first.weight!.requires_grad = false;
        return nn.Sequential(("a", first), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
    }

    /// <summary>Batches of given sizes with inputs [n, ..shape]; targets have the shape without its last number (sequences) or
    /// [n].</summary>
    private static (Tensor, Tensor)[] Classes(int classes, long[] shape, params long[] sizes) =>
        [
            .. sizes.Select(n =>
                (
                    randn([n, .. shape], dtype: ScalarType.Float64),
                    randint(0, classes, shape.Length == 2 ? [n, shape[0]] : [n], dtype: ScalarType.Int64)
                )
            ),
        ];

    private static (Tensor, Tensor)[] Numbers(long[] outputs, long[] inputs, bool binary, params long[] sizes) =>
        [
            .. sizes.Select(n =>
            {
                var y = randn([n, .. outputs], dtype: ScalarType.Float64);
                return (randn([n, .. inputs], dtype: ScalarType.Float64), binary ? y.gt(0).to(ScalarType.Float64) : y);
            }),
        ];

    private sealed class Tied : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4, dtype: ScalarType.Float64),
            second = nn.Linear(4, 4, dtype: ScalarType.Float64);

        public Tied()
            : base("tied")
        {
            second.weight = first.weight;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => second.call(first.call(x).tanh());
    }

    private sealed class Scoped : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d twice = nn.Conv2d(2, 2, 3, padding: 1),
            hooked = nn.Conv2d(2, 2, 1);

        public Scoped()
            : base("scoped")
        {
            RegisterComponents();
            hooked.register_forward_hook((_, _, y) => y.square());
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            return hooked.call(twice.call(twice.call(x).tanh()).tanh()).flatten(1).MoveToOuterDisposeScope();
        }
    }

    private sealed class Attention : nn.Module<Tensor, Tensor>
    {
        private readonly Linear qkv = nn.Linear(4, 12),
            mixed = nn.Linear(4, 4);

        public Attention()
            : base("attention") => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            var heads = qkv.call(x).view(x.shape[0], 3, 3, 2, 2).permute(2, 0, 3, 1, 4).unbind(0); // q, k, v: [n, heads, T, d]
            return mixed.call(
                nn.functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], is_casual: true).transpose(1, 2).reshape(x.shape)
            );
        }
    }

    private sealed class Twice : nn.Module<Tensor, Tensor>
    {
        private readonly Linear layer = nn.Linear(4, 4);

        public Twice()
            : base("twice") => RegisterComponents();

        public override Tensor forward(Tensor x) => layer.call(layer.call(x).tanh());
    }

    private sealed class Unused : nn.Module<Tensor, Tensor>
    {
        private readonly Linear never = nn.Linear(2, 2),
            layer = nn.Linear(4, 3);
        private readonly Parameter scale = nn.Parameter(ones(1));

        public Unused()
            : base("unused") => RegisterComponents();

        public override Tensor forward(Tensor x) => layer.call(x) * scale;
    }

    private sealed class Pooled : nn.Module<Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, 3),
            b = nn.Linear(3, 2);

        public Pooled()
            : base("pooled") => RegisterComponents();

        public override Tensor forward(Tensor x) => b.call(a.call(x).tanh()).mean([1]);
    }
}
