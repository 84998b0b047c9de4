using Amari.Curvature;
using Amari.Distributed;
using Amari.Native;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Which forward and backward passes a step's factors are of: those that its gradients are of.</summary>
public sealed class CapturePassesTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public CapturePassesTests() => set_default_dtype(ScalarType.Float64);

    public void Dispose()
    {
        set_default_dtype(ScalarType.Float32);
        _scope.Dispose();
    }

    private static readonly Kfac.Options Every = new()
    {
        Step = new AutoStep { KlClip = null, Momentum = 0 },
        Curvature = new()
        {
            Inverse = new InverseOptions.Eigenbasis(),
            Refresh = new()
            {
                FactorInterval = 1,
                InverseInterval = 1,
                Warmup = null,
            },
        },
    };

    /// <summary>What a run is made of.</summary>
    private sealed record Scene(nn.Module<Tensor, Tensor> Model, Kfac Optimizer, Tensor X, Tensor Y, Tensor Other)
    {
        public Tensor Loss(Tensor f) => nn.functional.cross_entropy(f, Y);

        public Tensor Penalty(Tensor f) => 3 * f.square().mean();
    }

    /// <summary>The factors and parameters after a step on what a run propagates back.</summary>
    private static Dictionary<string, double[]> Run(Kfac.Options options, Action<Scene> propagate)
    {
        manual_seed(5);
        var model = nn.Sequential(("a", nn.Linear(4, 6)), ("n", nn.LayerNorm(6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 3)));
        manual_seed(9);
        using var optimizer = new Kfac(model, options, new Categorical());
        propagate(new(model, optimizer, randn(16, 4), randint(0, 3, [16]), 3 * randn(32, 4)));
        optimizer.step();
        var factors = optimizer.Snapshot().Tensors.Where(t => t.Key.Split('.')[^1] is "A" or "G" or "F");
        var result = factors.ToDictionary(t => t.Key, t => t.Value.Elements<double>());
        foreach (var (name, p) in model.named_parameters())
            result[name] = p.Elements<double>();
        Assert.Equal(5 + 6, result.Count);
        return result;
    }

    private static void Same(Kfac.Options options, Action<Scene> expected, Action<Scene> actual, double tolerance = 1e-12)
    {
        var (a, b) = (Run(options, expected), Run(options, actual));
        foreach (var (name, values) in a)
            Optimizers.Trajectory.Near(values, b[name], tolerance);
    }

    public static TheoryData<FisherKind, LossReduction> Kinds =>
        new(from k in Enum.GetValues<FisherKind>() from r in Enum.GetValues<LossReduction>() select (k, r));

    private static Kfac.Options Of(FisherKind kind, LossReduction reduction) =>
        Every with
        {
            Reduction = reduction,
            Curvature = Every.Curvature with { Fisher = FisherOptions.Of(kind) },
        };

    /// <summary>The generator's step of a GAN propagates back through the discriminator. The draws of its forward pass are made all the
    /// same.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void What_zero_grad_forgets_counts_for_nothing(FisherKind kind, LossReduction reduction) =>
        Same(
            Of(kind, reduction),
            s =>
            {
                s.Model.call(s.Other);
                s.Loss(s.Model.call(s.X)).backward();
            },
            s =>
            {
                nn.functional.cross_entropy(s.Model.call(s.Other), zeros(32, dtype: ScalarType.Int64)).backward();
                s.Optimizer.zero_grad();
                s.Loss(s.Model.call(s.X)).backward();
            }
        );

    [Theory, MemberData(nameof(Kinds))]
    public void A_pass_made_before_zero_grad_and_propagated_back_after_it_counts(FisherKind kind, LossReduction reduction) =>
        Same(
            Of(kind, reduction),
            s => s.Loss(s.Model.call(s.X)).backward(),
            s =>
            {
                var f = s.Model.call(s.X);
                s.Optimizer.zero_grad();
                s.Loss(f).backward();
            }
        );

    /// <summary>Propagated back before zero_grad, too: as a discriminator's pass that the generator's loss used.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void A_kept_graph_may_be_propagated_again_after_zero_grad(FisherKind kind, LossReduction reduction) =>
        Same(
            Of(kind, reduction),
            s => s.Loss(s.Model.call(s.X)).backward(),
            s =>
            {
                var f = s.Model.call(s.X);
                s.Penalty(f).backward(retain_graph: true);
                s.Optimizer.zero_grad();
                s.Loss(f).backward();
            }
        );

    [Theory, MemberData(nameof(Kinds))]
    public void Several_backward_passes_are_that_of_their_sum(FisherKind kind, LossReduction reduction)
    {
        Action<Scene> sum = s =>
        {
            var f = s.Model.call(s.X);
            (s.Loss(f) + s.Penalty(f) + f.abs().mean()).backward();
        };
        Same(
            Of(kind, reduction),
            sum,
            s =>
            {
                var f = s.Model.call(s.X);
                s.Penalty(f).backward(retain_graph: true);
                f.abs().mean().backward(retain_graph: true);
                s.Loss(f).backward();
            }
        );
        Same(
            Of(kind, reduction),
            sum,
            s =>
            {
                var f = s.Model.call(s.X);
                foreach (var loss in new[] { s.Penalty(f), f.abs().mean(), s.Loss(f) })
                    loss.backward(retain_graph: true); // kept to the end
            }
        );
    }

    /// <summary>With another pass between the two.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void Several_backward_passes_may_have_others_between_them(FisherKind kind, LossReduction reduction) =>
        Same(
            Of(kind, reduction),
            s =>
            {
                var (f, g) = (s.Model.call(s.X), s.Model.call(s.Other));
                (s.Penalty(f) + (s.Loss(f) + s.Penalty(g))).backward();
            },
            s =>
            {
                var f = s.Model.call(s.X);
                s.Penalty(f).backward(retain_graph: true);
                var g = s.Model.call(s.Other);
                (s.Loss(f) + s.Penalty(g)).backward();
            }
        );

    /// <summary>Micro-batches add up, however their passes are ordered.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void Micro_batches_add_up_in_any_order(FisherKind kind, LossReduction reduction)
    {
        Action<Scene> one = s =>
        {
            s.Loss(s.Model.call(s.X)).backward();
            s.Penalty(s.Model.call(s.Other)).backward();
        };
        Same(
            Of(kind, reduction),
            one,
            s =>
            {
                var (f, g) = (s.Model.call(s.X), s.Model.call(s.Other));
                s.Penalty(g).backward();
                s.Loss(f).backward();
            }
        );
        Same(
            Of(kind, reduction),
            one,
            s =>
            {
                var (f, g) = (s.Model.call(s.X), s.Model.call(s.Other));
                (s.Loss(f) + s.Penalty(g)).backward();
            }
        );
    }

    [Theory, MemberData(nameof(Kinds))]
    public void An_evaluation_with_gradients_between_changes_nothing(FisherKind kind, LossReduction reduction)
    {
        if (kind is FisherKind.MonteCarlo or FisherKind.CurvaturePropagation)
            return; // its draws are made
        Same(
            Of(kind, reduction),
            s => s.Loss(s.Model.call(s.X)).backward(),
            s =>
            {
                var f = s.Model.call(s.X);
                s.Model.eval();
                _ = s.Model.call(s.Other).mean().ToDouble();
                s.Model.train();
                s.Loss(f).backward();
            }
        );
    }

    /// <summary>Terms divide the sum's gradient, and the second step has those of the first.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void A_second_step_on_the_same_gradients_is_equally_long(FisherKind kind, LossReduction reduction)
    {
        manual_seed(5);
        var model = nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 3)));
        using var optimizer = new Kfac(model, Of(kind, reduction), new Categorical());
        nn.functional.cross_entropy(
                model.call(randn(64, 4)),
                randint(0, 3, [64]),
                reduction: reduction == LossReduction.Sum ? nn.Reduction.Sum : nn.Reduction.Mean
            )
            .backward();
        double[][] w = new double[3][];
        for (int i = 0; i < 3; i++)
        {
            if (i > 0)
                optimizer.step();
            w[i] = Optimizers.Problem.Values(model.parameters());
        }
        Optimizers.Trajectory.Near([.. w[1].Zip(w[0], (b, a) => b - a)], [.. w[2].Zip(w[1], (b, a) => b - a)], 1e-9);
    }

    /// <summary>One example without a dimension of examples is [1, ..], whatever the likelihood.</summary>
    [
        Theory,
        InlineData("gaussian"),
        InlineData("bernoulli"),
        InlineData("poisson"),
        InlineData("categorical"),
        InlineData("heteroscedastic"),
        InlineData("convolution"),
        InlineData("normalised")
    ]
    public void One_example_without_a_batch(string name)
    {
        Likelihood likelihood = name switch
        {
            "bernoulli" => new Bernoulli(),
            "poisson" => new Poisson(),
            "categorical" => new Categorical(),
            "heteroscedastic" => new HeteroscedasticGaussian(),
            _ => new Gaussian(),
        };
        double[] Run(FisherKind kind, bool batch)
        {
            manual_seed(3);
            var model = name switch
            {
                "convolution" => nn.Sequential(("c", nn.Conv2d(1, 2, 2)), ("f", nn.Flatten(-3)), ("l", nn.Linear(8, 4))),
                "normalised" => nn.Sequential(("n", nn.LayerNorm(4)), ("l", nn.Linear(4, 4))),
                _ => nn.Sequential(("l", nn.Linear(4, 5)), ("t", nn.Tanh()), ("m", nn.Linear(5, 4))),
            };
            var x = name == "convolution" ? randn(1, 3, 3) : randn(4);
            using var optimizer = new Kfac(
                model,
                Every with
                {
                    Curvature = Every.Curvature with { Fisher = FisherOptions.Of(kind) },
                },
                likelihood
            );
            var f = batch ? model.call(x.unsqueeze(0)) : model.call(x);
            (0.3 * f.square().sum() + f.exp().mean()).backward();
            optimizer.step();
            Assert.Empty(optimizer.Events);
            return Optimizers.Problem.Values(model.parameters());
        }
        foreach (var kind in Enum.GetValues<FisherKind>())
            Optimizers.Trajectory.Near(Run(kind, true), Run(kind, false), 1e-12);
    }

    [Fact]
    public void Step_on_a_batch_refuses_one_example_without_a_batch()
    {
        var model = nn.Sequential(("l", nn.Linear(4, 3)));
        using var optimizer = new Kfac(model, Every, new Gaussian());
        var error = Assert.Throws<InvalidOperationException>(() => optimizer.StepOnBatch(randn(4), randn(3)));
        Assert.Contains("[4] is [1, 4]", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Outputs [n] of n examples are n terms.</summary>
    [Fact]
    public void Outputs_of_one_dimension_are_examples_where_the_inputs_are_a_batch()
    {
        double[] Run(bool flat)
        {
            manual_seed(3);
            nn.Module<Tensor, Tensor> model = flat
                ? nn.Sequential(("l", nn.Linear(4, 1)), ("f", nn.Flatten(0)))
                : nn.Sequential(("l", nn.Linear(4, 1)));
            using var optimizer = new Kfac(
                model,
                Every with
                {
                    Curvature = Every.Curvature with { Fisher = new FisherOptions.Exact() },
                },
                new Gaussian()
            );
            var x = randn(4, 4);
            model.call(x).square().mean().backward();
            optimizer.step();
            return Optimizers.Problem.Values(model.parameters());
        }
        Optimizers.Trajectory.Near(Run(false), Run(true), 1e-12);
    }
}
