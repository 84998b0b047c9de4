using Amari.Curvature;
using Amari.LeastSquares;

namespace Amari.Tests.LeastSquares;

/// <summary>Residuals and Jacobians of models against one backward pass per row.</summary>
public sealed class ModelResidualsTests
{
    private const double Variance = 0.7,
        Exact = 1e-12;

    public static TheoryData<string> Captured =>
        ["mlp", "one layer", "no bias", "positions", "pooled", "twice", "tied", "frozen", "in place", "convolutions", "one output"];

    public static TheoryData<string> Models => [.. Captured.Select(c => c.Data), "norm", "plain parameter", "weight used outside"];

    private static (nn.Module<Tensor, Tensor> Model, Tensor X, Tensor Y) Make(string name, ScalarType type = ScalarType.Float64)
    {
        manual_seed(5);
        (nn.Module<Tensor, Tensor>, long[]) made = name switch
        {
            "one layer" => (nn.Linear(4, 3), [4]),
            "no bias" => (nn.Sequential(nn.Linear(4, 5, hasBias: false), nn.Tanh(), nn.Linear(5, 3)), [4]),
            "positions" => (nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), [3, 4]),
            "pooled" => (new Block(b => x => b.Second.call(b.First.call(x).tanh()).mean([1])), [3, 4]),
            "twice" => (new Block(b => x => b.First.call(b.First.call(x).tanh()).tanh() + b.Second.call(x)), [4]),
            "tied" => (new Block(b => x => b.Second.call(b.First.call(x).tanh()), tie: true), [4]),
            "frozen" => (Frozen(), [4]),
            "in place" => (nn.Sequential(nn.Linear(4, 5), nn.ELU(inplace: true), nn.Linear(5, 3)), [4]),
            "convolutions" => (
                nn.Sequential(
                    nn.Conv2d(2, 3, (3, 2), stride: (2, 1), padding: (1, 0)),
                    nn.Tanh(),
                    nn.Flatten(2),
                    nn.Conv1d(3, 2, 2, dilation: 2),
                    nn.Tanh(),
                    nn.Flatten(),
                    nn.Linear(20, 2)
                ),
                [2, 5, 5]
            ),
            "one output" => (nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)), [4]),
            "norm" => (nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)), [4]),
            "plain parameter" => (new Block(b => x => b.Second.call(b.First.call(x) * b.Scale), scales: true), [4]),
            "weight used outside" => (
                new Block(b => x => b.Second.call(b.First.call(x).tanh()) + nn.functional.linear(x, b.First.weight!)),
                [4]
            ),
            "mixed examples" => (new Block(b => x => b.Second.call(b.First.call(x) - b.First.call(x).mean([0], keepdim: true))), [4]),
            _ => (nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), [4]),
        };

        var (model, inputs) = (made.Item1.to(type), made.Item2);
        var x = randn([7, .. inputs], dtype: type);
        using var off = no_grad();
        return (model, x, randn(model.call(x).shape, dtype: type));
    }

    private static nn.Module<Tensor, Tensor> Frozen()
    {
        var (first, second) = (nn.Linear(4, 5), nn.Linear(5, 3));
        first.weight!.requires_grad = false;
        second.bias!.requires_grad = false;
        return nn.Sequential(first, nn.Tanh(), second);
    }

    /// <summary>J and r, one backward pass through all examples per row.</summary>
    private static (Tensor R, Tensor J) Dense(nn.Module<Tensor, Tensor> model, Tensor x, Tensor y)
    {
        Parameter[] w = [.. model.parameters().DistinctBy(p => p.Handle).Where(p => p.requires_grad)];
        var r = Values();
        var rows = new List<Tensor>();
        for (long i = 0; i < r.shape[0]; i++)
        {
            model.zero_grad();
            Values()[i].backward();
            rows.Add(cat([.. w.Select(p => p.grad?.reshape(-1) ?? zeros(p.numel(), dtype: p.dtype))]).clone());
        }
        foreach (var p in w)
            p.grad = null;
        return (r.detach(), stack(rows));

        Tensor Values() => (model.call(x) - y).reshape(-1) / Math.Sqrt(Variance * x.shape[0]);
    }

    private static double Distance(Tensor actual, Tensor expected)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.Equal(expected.dtype, actual.dtype);
        return ((actual - expected).norm() / expected.norm()).ToDouble();
    }

    private static void Agrees(string name, ScalarType type, double tolerance)
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make(name, type);
        var (r, j) = Dense(model, x, y);
        var residuals = new ModelResiduals(model, new Gaussian(Variance), x, y);
        using var linear = residuals.Linearize();
        Assert.InRange(Distance(residuals.Values(), r), 0, tolerance);
        Assert.InRange(Distance(linear.R, r), 0, tolerance);
        Assert.InRange(Distance(linear.Jacobian(), j), 0, tolerance);
        Assert.Equal((j.shape[0], j.shape[1]), (linear.Rows, linear.Columns));
        foreach (
            long[] k in (long[][])
                [
                    [],
                    [3],
                ]
        )
        {
            Tensor v = randn([j.shape[1], .. k], dtype: type),
                u = randn([j.shape[0], .. k], dtype: type);
            Assert.InRange(Distance(linear.Apply(v), j.matmul(v)), 0, tolerance);
            Assert.InRange(Distance(linear.ApplyTransposed(u), j.t().matmul(u)), 0, tolerance);
            Assert.InRange(Distance(linear.Normal.Apply(v), j.t().matmul(j.matmul(v))), 0, tolerance);
            Assert.InRange(Distance(linear.Gram.Apply(u), j.matmul(j.t().matmul(u))), 0, tolerance);
        }
        Assert.InRange(Distance(linear.Normal.ToDense(), j.t().mm(j)), 0, tolerance);
        Assert.InRange(Distance(linear.Gram.ToDense(), j.mm(j.t())), 0, tolerance);
    }

    [Theory, MemberData(nameof(Models))]
    public void Everything_is_that_of_the_dense_jacobian(string name) => Agrees(name, ScalarType.Float64, Exact);

    [Theory, InlineData("mlp"), InlineData("positions"), InlineData("norm")]
    public void Float32_is_exact_to_its_rounding(string name) => Agrees(name, ScalarType.Float32, 1e-5);

    [Theory, MemberData(nameof(Captured))]
    public void Layers_are_captured_in_one_pass(string name)
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make(name);
        using var linear = new ModelResiduals(model, new Gaussian(), x, y).Linearize();
        Assert.Null(linear.Fallback);
    }

    [Theory, InlineData("norm", "1.weight"), InlineData("weight used outside", "outside"), InlineData("plain parameter", "scale")]
    public void A_slower_way_is_reported(string name, string part)
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make(name);
        using var linear = new ModelResiduals(model, new Gaussian(), x, y).Linearize();
        Assert.Contains(part, linear.Fallback);
    }

    [Fact]
    public void Examples_that_depend_on_each_other_are_refused()
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make("mixed examples");
        var e = Assert.Throws<ArgumentException>(() => new ModelResiduals(model, new Gaussian(), x, y).Linearize());
        Assert.Contains("other examples", e.Message);
    }

    [Fact]
    public void Likelihoods_of_no_squares_are_refused()
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make("mlp");
        var e = Assert.Throws<ArgumentException>(() => new ModelResiduals(model, new Categorical(), x, y));
        Assert.Contains("Categorical", e.Message);
        Assert.Contains("NaturalGradient", e.Message);
    }

    [Fact]
    public void Half_the_squared_norm_is_the_mean_loss()
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make("positions");
        var likelihood = new Gaussian(Variance);
        double constant = 0.5 * y.numel() / y.shape[0] * Math.Log(2 * Math.PI * Variance),
            loss = likelihood.Loss(model.call(x), y).ToDouble() - constant;
        Assert.Equal(loss, 0.5 * new ModelResiduals(model, likelihood, x, y).Values().square().sum().ToDouble(), 1e-12);
    }

    [Fact]
    public void A_linearization_stays_valid_when_parameters_change()
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make("twice");
        var (_, j) = Dense(model, x, y);
        using var linear = new ModelResiduals(model, new Gaussian(Variance), x, y).Linearize();
        linear.Dispose();
        using var second = new ModelResiduals(model, new Gaussian(Variance), x, y).Linearize();
        using (no_grad())
            foreach (var p in model.parameters())
                p.add_(1);
        Assert.InRange(Distance(second.Gram.ToDense(), j.mm(j.t())), 0, Exact);
        Assert.InRange(Distance(second.Jacobian(), j), 0, Exact);
    }

    [Fact]
    public void Residuals_that_are_not_finite_are_values()
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make("mlp");
        y[0, 0] = double.NaN;
        var residuals = new ModelResiduals(model, new Gaussian(), x, y);
        using var linear = residuals.Linearize();
        Assert.Equal(1, linear.R.isnan().sum().ToInt64());
        Assert.Equal(1, residuals.Values().isnan().sum().ToInt64());
    }

    [Fact]
    public void Gradients_modes_and_hooks_are_left_as_they_were()
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make("mlp");
        model.train();
        using var linear = new ModelResiduals(model, new Gaussian(), x, y).Linearize();
        Assert.True(model.training);
        Assert.All(model.parameters(), p => Assert.True(p.grad is null));
    }

    [Theory, InlineData("mlp"), InlineData("twice"), InlineData("norm"), InlineData("convolutions")]
    public void No_tensor_is_left_behind(string name)
    {
        using var scope = NewDisposeScope();
        var (model, x, y) = Make(name);
        var residuals = new ModelResiduals(model, new Gaussian(), x, y);
        Once();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 20; i++)
            Once();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Once()
        {
            using var linear = residuals.Linearize();
            using Tensor values = residuals.Values(),
                v = ones(linear.Columns, dtype: ScalarType.Float64),
                u = linear.Apply(v),
                g = linear.Gram.ToDense(),
                n = linear.Normal.ToDense(),
                j = linear.Jacobian(),
                t = linear.ApplyTransposed(u);
        }
    }

    /// <summary>At a start of zeros, what the capture does not see has no derivative.</summary>
    [Fact]
    public void A_weight_used_outside_its_layer_is_found_when_it_matters()
    {
        using var scope = NewDisposeScope();
        manual_seed(5);
        var block = new Block(b => x => b.First.call(x).tanh() + b.Second.call(nn.functional.linear(x, b.First.weight).square().tanh()));
        Tensor x = randn(6, 4, dtype: ScalarType.Float64),
            y = randn(6, 4, dtype: ScalarType.Float64);
        using (no_grad())
            block.Second.weight.zero_();
        ModelResiduals residuals = new(block, new SquaredError(), x, y);
        residuals.Linearize().Dispose();
        using (no_grad())
            block.Second.weight.copy_(randn(4, 4, dtype: ScalarType.Float64));
        using var at = residuals.Linearize();
        new SquaredError().Loss(block.call(x), y).backward();
        var expected = cat([.. block.parameters().Select(p => p.grad!.flatten())]);
        var gradient = at.ApplyTransposed(at.R);
        Assert.InRange((gradient / gradient.norm() - expected / expected.norm()).norm().ToDouble(), 0, 1e-10);
    }

    [Fact]
    public void Dependent_examples_are_refused_after_a_batch_of_one()
    {
        using var scope = NewDisposeScope();
        manual_seed(5);
        var block = new Block(b => x => b.First.call(x).tanh() is var h ? b.Second.call(h - h.mean([0L], keepdim: true)) : x);
        foreach (int examples in (int[])[1, 1])
            Linearize(examples).Dispose();
        Assert.Throws<ArgumentException>(() => Linearize(6));

        Linearization Linearize(int n) =>
            new ModelResiduals(
                block,
                new SquaredError(),
                randn(n, 4, dtype: ScalarType.Float64),
                randn(n, 4, dtype: ScalarType.Float64)
            ).Linearize();
    }

    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4, dtype: ScalarType.Float64),
            second = nn.Linear(4, 4, dtype: ScalarType.Float64);
        private readonly Parameter? scale;
        private readonly Func<Tensor, Tensor> _forward;

        public Block(Func<Block, Func<Tensor, Tensor>> forward, bool tie = false, bool scales = false)
            : base("block")
        {
            if (tie)
                second.weight = first.weight;
            if (scales)
                scale = nn.Parameter(ones(4, dtype: ScalarType.Float64));
            RegisterComponents();
            _forward = forward(this);
        }

        public Linear First => first;

        public Linear Second => second;

        public Parameter Scale => scale!;

        public override Tensor forward(Tensor x) => _forward(x);
    }
}
