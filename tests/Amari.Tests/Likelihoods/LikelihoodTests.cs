using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Likelihoods;

/// <summary>One contract over all likelihoods: loss, score, Hessian, output Fisher and samples against autograd, closed forms and
/// Monte-Carlo.</summary>
public sealed class LikelihoodTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public LikelihoodTests() => manual_seed(2);

    public void Dispose() => _scope.Dispose();

    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Score_and_Hessian_are_the_derivatives_of_the_loss(string name)
    {
        var (likelihood, f, y) = (Make(name), randn(N, C, dtype: F64).requires_grad_(), Targets(name, N));
        var g = autograd.grad([likelihood.SumNegativeLogLikelihood(f, y)], [f], retain_graph: true, create_graph: true)[0];
        Near(likelihood.Score(f.detach(), y), g.detach(), 1e-12);
        var v = randn(N, C, dtype: F64);
        var hv = g.requires_grad ? autograd.grad([g], [f], [v], retain_graph: true)[0] : zeros_like(v);
        Near(likelihood.HessianProduct(f.detach(), y, v), hv, 1e-12);
        if (name != nameof(HeteroscedasticGaussian))
            Near(likelihood.FisherProduct(f.detach(), v), hv, 1e-12); // natural parameters
        Assert.Equal((N, C), (likelihood.Terms(f), likelihood.Outputs(f)));
        Assert.Equal(likelihood.SumNegativeLogLikelihood(f, y).ToDouble() / N, likelihood.Loss(f, y).ToDouble(), 1e-12);
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Output_Fisher_is_one_matrix_applied_as_a_root_and_dense(string name)
    {
        var (likelihood, f, v) = (Make(name), randn(N, C, dtype: F64), randn(N, C, dtype: F64));
        var root = stack([.. Enumerable.Range(0, C).Select(c => likelihood.FisherRootColumn(f, c))], 2); // [N, C, C]
        var expected = stack([.. Enumerable.Range(0, N).Select(n => Lambda(name, f[n]))]);
        Near(likelihood.FisherMatrix(f), expected, 1e-14);
        Near(root.matmul(root.mT), expected, 1e-14);
        Near(likelihood.FisherRootProduct(f, v), root.matmul(v.unsqueeze(2)).squeeze(2), 1e-14);
        Near(likelihood.FisherProduct(f, v), expected.matmul(v.unsqueeze(2)).squeeze(2), 1e-14);
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Scores_of_samples_have_mean_zero_and_the_Fisher_as_covariance(string name)
    {
        const int Draws = 20000;
        var one = randn(1, C, dtype: F64);
        var f = one.expand(Draws, C).contiguous();
        var likelihood = Make(name);
        using var generator = new Generator(9);
        var s = likelihood.Score(f, likelihood.Sample(f, generator));
        var lambda = Lambda(name, one[0]);
        for (int i = 0; i < C; i++)
        {
            Within(s.select(1, i), 0);
            for (int j = 0; j <= i; j++)
                Within(s.select(1, i) * s.select(1, j), lambda[i, j].ToDouble());
        }

        static void Within(Tensor draws, double expected)
        {
            double error = draws.std().ToDouble() / Math.Sqrt(Draws);
            Assert.InRange(draws.mean().ToDouble() - expected, -3 * error - 1e-12, 3 * error + 1e-12);
        }
    }

    /// <summary>What a rank draws for its rows, whatever the others' outputs are.</summary>
    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Draws_of_a_part_are_those_of_its_rows_in_the_whole(string name)
    {
        foreach (var kind in (FisherKind[])[FisherKind.MonteCarlo, FisherKind.CurvaturePropagation])
        {
            var (likelihood, f) = (Make(name), 2 * randn(N, C, dtype: F64));
            var whole = Draw(f, null);
            foreach (var (start, length) in ((long, long)[])[(0, 1), (1, N - 1), (1, 1), (0, N)])
                Assert.True(
                    whole.narrow(0, start, length).equal(Draw(f.narrow(0, start, length), new(start, length, N))).all().ToBoolean(),
                    $"{kind} {start} {length}"
                );

            Tensor Draw(Tensor output, Amari.Distributed.BatchPart? part)
            {
                using var generator = new Generator(4);
                _ = likelihood.Draw(kind, output, generator, part);
                return likelihood.Draw(kind, output, generator, part); // the second one
            }
        }
    }

    [Fact]
    public void Counts_that_are_drawn_row_by_row_follow_the_distribution()
    {
        const int Draws = 5000;
        var one = randn(1, C, dtype: F64);
        using var generator = new Generator(9);
        var s = new Poisson().Draw(FisherKind.MonteCarlo, one.expand(Draws, C).contiguous(), generator);
        Assert.InRange((s.mean([0]) / (one[0].exp() / Draws).sqrt()).abs().max().ToDouble(), 0, 3.5);
        Assert.InRange((s.square().mean([0]) / one[0].exp()).sub(1).abs().max().ToDouble(), 0, 0.25);
    }

    [Fact]
    public void Samples_follow_the_generator_and_are_shaped_as_targets()
    {
        foreach (string name in Names)
        {
            var f = randn(50, C, dtype: F64);
            Tensor Draw(ulong seed)
            {
                using var generator = new Generator(seed);
                return Make(name).Sample(f, generator);
            }
            Assert.Equal(Targets(name, 50).shape, Draw(1).shape);
            Assert.True(Draw(1).eq(Draw(1)).all().ToBoolean());
            Assert.False(Draw(1).eq(Draw(2)).all().ToBoolean());
        }
    }

    [Fact]
    public void Draws_are_torch_s_own_and_made_where_the_generator_is()
    {
        Tensor f = randn(20, C),
            far = empty([20, C], device: META);
        var (mean, spread) = (f.narrow(1, 0, C / 2), f.narrow(1, C / 2, C / 2).div(2).exp());
        Same(g => new Categorical().Sample(f, g), g => f.softmax(-1).multinomial(1, true, g).squeeze(1));
        Same(g => new Bernoulli().Sample(f, g), g => f.sigmoid().bernoulli(g));
        Same(g => new Poisson().Sample(f, g), g => poisson(f.exp(), g));
        Same(g => new Gaussian(4).Sample(f, g), g => f + 2 * randn([20, C], generator: g));
        Same(g => new HeteroscedasticGaussian().Sample(f, g), g => mean + spread * randn([20, C / 2], generator: g));
        Same(g => new Gaussian(4).Draw(FisherKind.CurvaturePropagation, f, g), g => (rand([20, C], generator: g) - 0.5).sign() / 2);
        using var generator = new Generator(3, CPU);
        Assert.Equal(DeviceType.META, new Gaussian().Sample(far, generator).device_type);
        Assert.Equal(DeviceType.META, new HeteroscedasticGaussian().Sample(far, generator).device_type);
        Assert.Equal(DeviceType.META, new Gaussian().Draw(FisherKind.CurvaturePropagation, far, generator).device_type);

        static void Same(Func<Generator, Tensor> draw, Func<Generator, Tensor> torch)
        {
            using Generator one = new(3),
                two = new(3);
            var (actual, expected) = (draw(one), torch(two));
            Assert.Equal(expected.dtype, actual.dtype);
            Assert.True(expected.eq(actual).all().ToBoolean());
        }
    }

    [Fact]
    public void Losses_match_closed_forms()
    {
        var f = tensor(new[] { 0.3, -1.2 }).unsqueeze(0);
        double p = Math.Exp(0.3) / (Math.Exp(0.3) + Math.Exp(-1.2));
        Assert.Equal(-Math.Log(p), new Categorical().Loss(f, tensor(new long[] { 0 })).ToDouble(), 1e-12);
        double b(double v, double y) => -(y * Math.Log(1 / (1 + Math.Exp(-v))) + (1 - y) * Math.Log(1 / (1 + Math.Exp(v))));
        Assert.Equal(b(0.3, 1) + b(-1.2, 0.25), new Bernoulli().Loss(f, tensor(new[] { 1, 0.25 }).unsqueeze(0)).ToDouble(), 1e-12);
        Assert.Equal((0.09 + 1.44) / 4 + Math.Log(2 * Math.PI * 2), new Gaussian(2).Loss(f, zeros_like(f)).ToDouble(), 1e-12);
        Assert.Equal(
            Math.Exp(0.3) - 3 * 0.3 + Math.Log(6) + Math.Exp(-1.2),
            new Poisson().Loss(f, tensor(new[] { 3.0, 0 }).unsqueeze(0)).ToDouble(),
            1e-12
        );
        Assert.Equal(
            (-1.2 + 0.49 * Math.Exp(1.2) + Math.Log(2 * Math.PI)) / 2,
            new HeteroscedasticGaussian().Loss(f, tensor(new[] { 1.0 }).unsqueeze(0)).ToDouble(),
            1e-12
        );
        Assert.Throws<ArgumentException>(() => new HeteroscedasticGaussian().Loss(zeros(2, 3), zeros(2, 1)));
    }

    [Fact]
    public void A_batch_is_its_terms_one_by_one()
    {
        foreach (string name in Names)
        {
            var (likelihood, f, g, y) = (Make(name), randn(N, C, dtype: F64), randn(N, C, dtype: F64), Targets(name, N));
            for (int n = 0; n < N; n++)
            {
                var (fn, gn, yn) = (f.narrow(0, n, 1), g.narrow(0, n, 1), y.narrow(0, n, 1));
                Near(likelihood.Score(f, y).narrow(0, n, 1), likelihood.Score(fn, yn), 1e-15);
                Near(likelihood.FisherMatrix(f).narrow(0, n, 1), likelihood.FisherMatrix(fn), 1e-15);
                Near(likelihood.KlDivergence(f, g).narrow(0, n, 1), likelihood.KlDivergence(fn, gn), 1e-15);
                Near(likelihood.HessianProduct(f, y, g).narrow(0, n, 1), likelihood.HessianProduct(fn, yn, gn), 1e-15);
            }
        }
        // positions of a sequence: terms of their own for classes, outputs of one term for the others
        var s = randn(2, 3, C, dtype: F64);
        Near(new Categorical().FisherMatrix(s), new Categorical().FisherMatrix(s.view(6, C)), 1e-15);
        Assert.Equal([2, 12, 12], new Poisson().FisherMatrix(s).shape);
        Near(new Poisson().KlDivergence(s, s + 1), new Poisson().KlDivergence(s.view(2, 12), s.view(2, 12) + 1), 1e-14);
        Assert.Equal([2, 3, 2], new HeteroscedasticGaussian().Sample(s).shape);
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Extreme_outputs_stay_finite(string name)
    {
        foreach (var type in (ScalarType[])[ScalarType.Float32, F64])
        foreach (double size in (double[])[1e4, -1e4, 40])
        {
            var likelihood = Make(name);
            var f = tensor(
                    name switch
                    {
                        nameof(Poisson) => [-Math.Abs(size), 0, -size / 1e4, 1], // e^1e4 is no number
                        nameof(HeteroscedasticGaussian) => [size, -size, Math.Abs(size), 0], // nor is it here
                        _ => new[] { size, 0, -size, 1 },
                    },
                    dtype: type
                )
                .unsqueeze(0);
            var other = name switch
            {
                nameof(Poisson) or nameof(HeteroscedasticGaussian) => f.roll(1, 1).clamp_max(80),
                _ => f.flip(1),
            };
            if (name == nameof(HeteroscedasticGaussian))
                other.narrow(1, 2, 2).zero_();
            var y = Targets(name, 1, type);
            foreach (
                var value in (Tensor[])
                    [
                        likelihood.Loss(f, y),
                        likelihood.Score(f, y),
                        likelihood.FisherMatrix(f),
                        likelihood.HessianProduct(f, y, ones_like(f)),
                        .. Enumerable.Range(0, C).Select(c => likelihood.FisherRootColumn(f, c)),
                    ]
            )
                Assert.True(value.isfinite().all().ToBoolean(), $"{name} {size} {type}");
            if (name == nameof(HeteroscedasticGaussian) && size != 40)
                continue; // its variance is no number
            Assert.True(likelihood.Sample(f).isfinite().all().ToBoolean());
            var kl = likelihood.KlDivergence(f, other);
            Assert.True(kl.isfinite().all().ToBoolean() && kl.ge(0).all().ToBoolean(), $"{name} {size} {type}");
            Assert.Equal(0, likelihood.KlDivergence(f, f).abs().max().ToDouble());
        }
    }

    [Fact]
    public void Saturated_outputs_keep_their_relative_accuracy()
    {
        foreach (double f in (double[])[40, -40])
        {
            double tail = Math.Exp(-40); // p (1 - p) = e^-40 to a relative e^-40
            var b = new Bernoulli().FisherMatrix(tensor(new[] { f }).unsqueeze(0)).ToDouble();
            Assert.Equal(1, b / tail, 1e-12);
            var two = tensor(new[] { f, 0 }).unsqueeze(0);
            var expected = tensor(new[] { tail, -tail, -tail, tail }).view(1, 2, 2);
            Near(new Categorical().FisherMatrix(two) / tail, expected / tail, 1e-12);
            var root = stack([new Categorical().FisherRootColumn(two, 0), new Categorical().FisherRootColumn(two, 1)], 2);
            Near(root.matmul(root.mT) / tail, expected / tail, 1e-12);
            // from p = e^-40 to q = e^-41: p log(p/q) - p + q to a relative e^-40
            double kl = tail - tail + Math.Exp(-41);
            Assert.Equal(
                1,
                new Bernoulli().KlDivergence(tensor(new[] { f }).unsqueeze(0), tensor(new[] { f + Math.Sign(f) }).unsqueeze(0)).ToDouble()
                    / kl,
                1e-12
            );
            Assert.Equal(1, new Categorical().KlDivergence(two, tensor(new[] { f + Math.Sign(f), 0 }).unsqueeze(0)).ToDouble() / kl, 1e-12);
        }
        Assert.Equal(
            double.PositiveInfinity,
            new Poisson().Loss(tensor(new[] { 1e4 }).unsqueeze(0), tensor(new[] { 1.0 }).unsqueeze(0)).ToDouble()
        );
        // all of a class's probability lost: KL = the log ratio, 2e4 nats
        Assert.Equal(
            2e4,
            new Categorical().KlDivergence(tensor(new[] { 1e4, -1e4 }).unsqueeze(0), tensor(new[] { -1e4, 1e4 }).unsqueeze(0)).ToDouble(),
            1e-9
        );
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Results_are_fresh_and_nothing_else_stays(string name)
    {
        var (likelihood, f, g, y) = (Make(name), randn(N, C, dtype: F64), randn(N, C, dtype: F64), Targets(name, N));
        foreach (
            var call in (Func<Tensor>[])
                [
                    () => likelihood.Loss(f, y),
                    () => likelihood.Score(f, y),
                    () => likelihood.Sample(f),
                    () => likelihood.FisherMatrix(f),
                    () => likelihood.FisherProduct(f, g),
                    () => likelihood.HessianProduct(f, y, g),
                    () => likelihood.FisherRootProduct(f, g),
                    () => likelihood.FisherRootColumn(f, 1),
                    () => likelihood.KlDivergence(f, g),
                ]
        )
        {
            using var scope = NewDisposeScope();
            call().Dispose();
            long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
            using (var copy = f.clone())
            using (var result = call())
            {
                using var zeroed = result.zero_();
                using var inner = NewDisposeScope();
                Assert.True(f.eq(copy).all().ToBoolean());
            }
            Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        }
    }
}
