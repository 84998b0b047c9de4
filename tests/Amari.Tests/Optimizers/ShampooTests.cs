using Amari.Cli.Commands;
using Amari.Training;
using Amari.Verification;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>Shampoo: roots, blocks, grafting, and what it comes to without preconditioning.</summary>
public sealed class ShampooTests
{
    [Fact]
    public void Each_option_of_Shampoo_changes_the_trajectory() =>
        AllDiffer(
            g => new Shampoo(g),
            new Shampoo.Options(),
            new() { LearningRate = 0.1 },
            new() { Maximize = true },
            new() { Beta1 = 0.5 },
            new() { Beta2 = 0.5 },
            new() { Epsilon = 0.1 },
            new() { WeightDecay = 0.1 },
            new() { Grafting = Grafting.None },
            new() { Grafting = Grafting.Sgd },
            new() { GraftingEpsilon = 0.1 },
            new() { RefreshInterval = 2 },
            new() { StartPreconditioningStep = 4 },
            new() { BlockSize = 3 }
        );

    [Fact]
    public void Grafted_Shampoo_without_preconditioning_is_Adam() =>
        Near(
            Run(s => new Adam(s.Groups(new Adam.Options() { LearningRate = 0.01, Beta2 = 0.99 }))),
            Run(s => new Shampoo(s.Groups(new Shampoo.Options() { LearningRate = 0.01, StartPreconditioningStep = 100 }))),
            1e-12
        );

    /// <summary>Before the first step of the roots, and with roots that are a multiple of the identity: ε far above every
    /// eigenvalue.</summary>
    [Theory, InlineData(100, 1e-8, 1e-12), InlineData(1, 1e12, 1e-9)]
    public void Shampoo_grafted_from_the_momentum_without_preconditioning_is_the_momentum(int start, double epsilon, double tolerance)
    {
        double[] w = Problem.Values(
                Problem.Parameters(
                    [
                        [6, 5],
                    ],
                    ScalarType.Float64
                )
            ),
            m = new double[30];
        for (int t = 1; t <= 12; t++)
        {
            var p = Problem.Parameters(
                [
                    [6, 5],
                ],
                ScalarType.Float64
            );
            Problem.SetGradients(p, t - 1);
            double[] g = Problem.Values([p[0].grad!]);
            for (int i = 0; i < 30; i++)
            {
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                w[i] -= 0.01 * m[i] / (1 - Math.Pow(0.9, t));
            }
        }
        Near(
            w,
            Run(
                s => new Shampoo(
                    s.Groups(
                        new Shampoo.Options()
                        {
                            LearningRate = 0.01,
                            Grafting = Grafting.Sgd,
                            StartPreconditioningStep = start,
                            Epsilon = epsilon,
                        }
                    )
                ),
                shapes:
                [
                    [6, 5],
                ]
            ),
            tolerance
        );
    }

    [Fact]
    public void Shampoo_s_first_step_is_the_orthogonal_factor_of_the_gradient()
    {
        using var scope = NewDisposeScope();
        var p = Problem.Parameters(
            [
                [6, 5],
            ],
            ScalarType.Float64
        );
        var before = p[0].detach().clone();
        Problem.SetGradients(p, 1);
        using var o = new Shampoo([
            ParameterGroup.Of(
                p,
                new Shampoo.Options()
                {
                    LearningRate = 1,
                    Grafting = Grafting.None,
                    Epsilon = 1e-12,
                }
            ),
        ]);
        o.step();
        var (u, _, vh) = linalg.svd(p[0].grad!, fullMatrices: false); // (g g')^(-1/4) g (g' g)^(-1/4) = U V'
        Near(Problem.Values([before - u.mm(vh)]), Problem.Values(p), 1e-8);
    }

    /// <summary>Every part of the step on a matrix: decompositions of torch alone, the rest number by number.</summary>
    [Theory, InlineData(Grafting.None), InlineData(Grafting.Sgd), InlineData(Grafting.Adam)]
    public void Shampoo_follows_its_equations(Grafting grafting)
    {
        const double Rate = 0.05,
            Decay = 0.1,
            Beta1 = 0.8,
            Beta2 = 0.9,
            Epsilon = 1e-4,
            AdamEpsilon = 1e-2;
        using var scope = NewDisposeScope();
        var p = Problem.Parameters(
            [
                [6, 5],
            ],
            ScalarType.Float64
        );
        using var o = new Shampoo([
            ParameterGroup.Of(
                p,
                new Shampoo.Options()
                {
                    LearningRate = Rate,
                    WeightDecay = Decay,
                    Beta1 = Beta1,
                    Beta2 = Beta2,
                    Epsilon = Epsilon,
                    Grafting = grafting,
                    GraftingEpsilon = AdamEpsilon,
                    RefreshInterval = 3,
                    StartPreconditioningStep = 2,
                }
            ),
        ]);
        Tensor w = p[0].detach().clone(),
            m = zeros_like(w),
            v = zeros_like(w),
            left = zeros(6, 6, dtype: ScalarType.Float64),
            right = zeros(5, 5, dtype: ScalarType.Float64);
        var (leftRoot, rightRoot) = (left, right);
        for (int t = 1; t <= 10; t++)
        {
            Problem.SetGradients(p, t);
            var g = p[0].grad!.clone();
            o.step();
            (m, v) = (Beta1 * m + (1 - Beta1) * g, Beta2 * v + (1 - Beta2) * g * g);
            (left, right) = (Beta2 * left + (1 - Beta2) * g.mm(g.t()), Beta2 * right + (1 - Beta2) * g.t().mm(g));
            double vHat = 1 - Math.Pow(Beta2, t);
            if (t is 2 or 3 or 6 or 9)
                (leftRoot, rightRoot) = (Root(left / vHat), Root(right / vHat));
            var mHat = m / (1 - Math.Pow(Beta1, t));
            var adam = mHat / ((v / vHat).sqrt() + AdamEpsilon);
            var length = grafting switch
            {
                Grafting.Sgd => mHat.norm(),
                Grafting.Adam => adam.norm(),
                _ => null,
            };
            var u = leftRoot.mm(mHat).mm(rightRoot);
            if (length is not null)
                u = u * length / u.norm();
            if (t < 2)
                u = grafting == Grafting.Adam ? adam : mHat;
            w = (1 - Rate * Decay) * w - Rate * u;
            Near(Problem.Values([w]), Problem.Values(p), 1e-10);
        }

        static Tensor Root(Tensor factor)
        {
            var (values, vectors) = linalg.eigh(factor);
            return vectors.mm(diag((values + Epsilon).pow(-0.25))).mm(vectors.t());
        }
    }

    [Fact]
    public void Grafting_keeps_the_length_of_Adam_s_step_block_by_block()
    {
        var p = Problem.Parameters(
            [
                [6, 5],
            ],
            ScalarType.Float64
        );
        using var before = p[0].detach().clone();
        Problem.SetGradients(p, 1);
        using var o = new Shampoo([ParameterGroup.Of(p, new Shampoo.Options() { LearningRate = 1, BlockSize = 3 })]);
        o.step();
        using var scope = NewDisposeScope();
        foreach (var (row, rows) in new[] { (0, 3), (3, 3) }) // Adam's first step is the sign of the gradient
        foreach (var (column, columns) in new[] { (0, 3), (3, 2) })
            Assert.Equal(
                Math.Sqrt(rows * columns),
                (p[0] - before).narrow(0, row, rows).narrow(1, column, columns).norm().ToDouble(),
                1e-6
            );
    }

    [Fact]
    public void Shampoo_s_blocks_are_matrices_of_their_own()
    {
        Parameter[] whole = Problem.Parameters(
            [
                [6, 5],
            ],
            ScalarType.Float64
        );
        var options = new Shampoo.Options()
        {
            Grafting = Grafting.None,
            Epsilon = 1e-3,
            BlockSize = 4,
            RefreshInterval = 1,
        };
        Parameter[] part = [nn.Parameter(whole[0].detach().narrow(0, 4, 2).narrow(1, 4, 1).clone())];
        using var a = new Shampoo([ParameterGroup.Of(whole, options)]);
        using var b = new Shampoo([ParameterGroup.Of(part, options)]);
        for (int step = 0; step < 5; step++)
        {
            Problem.SetGradients(whole, step);
            part[0].grad = whole[0].grad!.narrow(0, 4, 2).narrow(1, 4, 1).clone();
            a.step();
            b.step();
        }
        Near(Problem.Values(part), Problem.Values([whole[0].narrow(0, 4, 2).narrow(1, 4, 1)]), 1e-10);
    }

    [Fact]
    public void A_failed_root_is_logged_and_training_goes_on()
    {
        var p = Problem.Parameters([
            [3, 3],
        ]);
        p[0].grad = ones(3, 3);
        using var o = new Shampoo([new([("w", p[0])], new() { Grafting = Grafting.Sgd, RefreshInterval = 2 })]);
        o.step();
        foreach (string factor in (string[])["Left", "Right"])
            o.Snapshot().Tensors["w." + factor].fill_(float.NaN);
        o.step();
        var logged = Assert.Single(o.Events);
        Assert.Equal((2, "w"), (logged.Step, logged.Subject));
        Assert.Contains("2 times", logged.Message, StringComparison.Ordinal);
    }
}
