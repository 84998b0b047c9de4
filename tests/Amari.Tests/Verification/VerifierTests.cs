using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Native;
using Amari.Verification;
using Amari.Workloads.Data;

namespace Amari.Tests.Verification;

/// <summary>The verifier passes what is right, finds what is wrong and names it, and leaves the model as it was.</summary>
public sealed class VerifierTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public VerifierTests() => manual_seed(4);

    public void Dispose() => _scope.Dispose();

    private static Tensor Labels(int n = 6, int classes = 3) => randint(0, classes, [n], dtype: ScalarType.Int64);

    private static string[] Failures(VerificationReport report) =>
        [.. report.Checks.Where(c => c.Outcome == CheckOutcome.Failed).Select(c => $"{c.Name} {c.Parameter}").Distinct()];

    private static VerificationReport Verify(Sandwich model, Likelihood? likelihood = null) =>
        Verifier.Verify(model, likelihood ?? new Categorical(), randn(6, 4), Labels());

    private static nn.Module<Tensor, Tensor> Mlp() => nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 4)));

    private static void AllAgree(VerificationReport report)
    {
        Assert.True(report.Checks.All(c => c.Outcome == CheckOutcome.Passed), report.ToString());
        Assert.True(report.Passed);
    }

    /// <summary>From 512 examples on, K-FAC's own choice is a quadratic model.</summary>
    [Theory, InlineData(511), InlineData(520)]
    public void Right_models_pass_with_many_examples(int examples) =>
        AllAgree(
            Verifier.Verify(
                nn.Sequential(("a", nn.Linear(4, 3))),
                new Categorical(),
                randn(examples, 4),
                Labels(examples),
                new() { Examples = examples, Directions = 1 }
            )
        );

    [Fact]
    public void A_layer_that_is_the_whole_model_passes_each_time()
    {
        var layer = nn.Linear(4, 3);
        for (int i = 0; i < 3; i++)
            AllAgree(Verifier.Verify(layer, new Categorical(), randn(6, 4), Labels()));
    }

    [Fact]
    public void Rounding_of_ill_conditioned_inverses_is_no_fault()
    {
        foreach (double variance in (double[])[1e-9, 1e-12])
        {
            var report = Verifier.Verify(Mlp(), new Gaussian(variance), randn(20, 4), randn(20, 4));
            Assert.True(report.Passed, report.ToString());
            Assert.Contains(report.Checks, c => c.Outcome == CheckOutcome.Inconclusive && c.Note.Contains("times the damping"));
        }
        var scaled = Verifier.Verify(Mlp(), new Categorical(), 1e4 * randn(20, 4), Labels(20, 4));
        Assert.True(scaled.Passed, scaled.ToString());
    }

    [Fact]
    public void Right_models_pass_under_every_likelihood()
    {
        foreach (
            var (likelihood, y) in new (Likelihood, Tensor)[]
            {
                (new Categorical(), Labels(6, 4)),
                (new Bernoulli(), rand(6, 4)),
                (new Gaussian(0.3), randn(6, 4)),
                (new Poisson(), randint(0, 5, [6, 4], dtype: ScalarType.Int64).to_type(ScalarType.Float32)),
                (new HeteroscedasticGaussian(), randn(6, 2)),
            }
        )
        {
            var report = Verifier.Verify(Mlp(), likelihood, randn(6, 4), y);
            AllAgree(report);
            Assert.Equal(4, report.Checks.Count(c => c.Name == "gauss-newton product"));
            Assert.All(
                report.Checks.Where(c =>
                    c.Name.StartsWith("fisher", StringComparison.Ordinal) && !c.Name.Contains("monte", StringComparison.Ordinal)
                ),
                c => Assert.True(c.Digits >= 12)
            );
        }
    }

    [Fact]
    public void Convolutions_groups_padding_sequences_and_large_models_pass()
    {
        var conv = nn.Sequential(
            ("c1", nn.Conv2d(2, 4, 3, stride: 2, padding: 1, dilation: 2, padding_mode: PaddingModes.Circular)),
            ("r1", nn.ReLU(inplace: true)),
            ("c2", nn.Conv2d(4, 6, 3, padding: Padding.Same, groups: 2, bias: false)),
            ("r2", nn.SiLU()),
            ("f", nn.Flatten()),
            ("fc", nn.Linear(6 * 9, 3))
        );
        var report = Verifier.Verify(conv, new Categorical(), randn(4, 2, 8, 8), Labels(4));
        AllAgree(report);
        Assert.Equal(["c1", "c2", "fc"], report.Approximations.Select(a => a.Layer));

        AllAgree(Verifier.Verify(Mlp(), new Categorical(), randn(2, 5, 4), randint(0, 4, [2, 5], dtype: ScalarType.Int64))); // positions
        AllAgree(Verifier.Verify(Mlp(), new Bernoulli(), randn(6, 4), rand(6, 4), new() { MaxJacobian = 0 }));
    }

    [Fact]
    public void Kinks_are_no_failures()
    {
        foreach (int jacobian in (int[])[0, 1_000_000])
        {
            var model = nn.Sequential(("a", nn.Linear(4, 8)), ("r", nn.ReLU()), ("b", nn.Linear(8, 3)));
            nn.init.zeros_(((Linear)model[0]).bias!);
            var x = randn(6, 4);
            x[0].zero_(); // every unit of that example lies on its kink
            var report = Verifier.Verify(model, new Categorical(), x, Labels(), new() { MaxJacobian = jacobian });
            AllAgree(report);
            Assert.Contains(
                report.Checks,
                c => c.Name == "gradient" && c.Parameter == "a.bias" && c.Note.Contains("not differentiable", StringComparison.Ordinal)
            );
            Assert.Contains("not differentiable", report.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_model_that_is_sure_passes_or_the_check_is_undecided()
    {
        var model = Mlp();
        using (no_grad())
            ((Linear)((Sequential)model)[2]).weight!.mul_(60);
        var x = randn(6, 4);
        var report = Verifier.Verify(model, new Categorical(), x, model.call(x).argmax(1));
        Assert.True(report.Passed, report.ToString());
    }

    [Theory, InlineData(0), InlineData(3), InlineData(8), InlineData(200)]
    public void Examples_without_a_target_are_passed_over(int ignored)
    {
        var (model, x, labels) = (Mlp(), randn(ignored + 6, 4), cat([full(ignored, -100, dtype: ScalarType.Int64), Labels(6, 4)]));
        if (ignored > 0)
            labels[ignored + 1] = -100;
        var report = Verifier.Verify(model, new Categorical(), x, labels, new() { Examples = 4 });
        AllAgree(report);
        Assert.Equal(4, report.Examples);
        var rows = tensor((long[])(ignored > 0 ? [ignored, ignored + 2, ignored + 3, ignored + 4] : [0, 1, 2, 3]));
        var loss = nn.functional.cross_entropy(model.call(x.index_select(0, rows)), labels.index_select(0, rows));
        Assert.Equal(loss.ToDouble(), report.Loss, 1e-5);
    }

    [Fact]
    public void Positions_without_a_target_are_kept_where_their_example_has_another()
    {
        var labels = full([12, 5], -100, dtype: ScalarType.Int64);
        labels[9, 2] = 1;
        labels[11] = 2;
        var report = Verifier.Verify(Mlp(), new Categorical(), randn(12, 5, 4), labels);
        AllAgree(report);
        Assert.Equal(2, report.Examples);
        var words = nn.Sequential(("e", nn.Embedding(7, 4)), ("n", nn.LayerNorm(4)), ("l", nn.Linear(4, 4)));
        AllAgree(Verifier.Verify(words, new Categorical(), randint(0, 7, [12, 5]), labels));

        labels.fill_(-100);
        string message = Assert.Throws<ArgumentException>(() => Verifier.Verify(Mlp(), new Categorical(), randn(12, 5, 4), labels)).Message;
        Assert.Contains("None of the 12 examples has a target", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Targets_that_do_not_fit_are_described_as_elsewhere() =>
        Assert.Contains(
            "[6, 2]",
            Assert.Throws<ArgumentException>(() => Verifier.Verify(Mlp(), new Gaussian(), randn(6, 4), randn(6, 2))).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_wrong_backward_is_found_where_it_is()
    {
        AllAgree(Verify(new Sandwich(x => x.tanh())));
        var report = Verify(new Sandwich(x => WrongTanh.apply(x)));
        Assert.False(report.Passed);
        var gradients = report.Checks.Where(c => c.Name == "gradient").ToDictionary(c => c.Parameter);
        foreach (string p in (string[])["first.weight", "first.bias"])
        {
            Assert.Equal(CheckOutcome.Failed, gradients[p].Outcome);
            Assert.Equal(0.01, gradients[p].RelativeError, 5e-3);
        }
        foreach (string p in (string[])["last.weight", "last.bias"])
            Assert.Equal(CheckOutcome.Passed, gradients[p].Outcome);
        Assert.Contains("!", report.ToString(), StringComparison.Ordinal);
        Assert.Contains("do not trust", report.ToString(), StringComparison.Ordinal);
        Assert.Contains("first.weight", report.ToString().Split("Failed:")[1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_backward_without_a_graph_fails_the_Hessian_alone()
    {
        string[] failures = Failures(Verify(new Sandwich(x => FirstOrderTanh.apply(x))));
        Assert.Contains("hessian product first.weight", failures);
        Assert.DoesNotContain(failures, f => f.StartsWith("gradient", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(nameof(Likelihood.Score), "likelihood score output")]
    [InlineData(nameof(Likelihood.HessianProduct), "likelihood hessian output")]
    [InlineData(nameof(Likelihood.FisherProduct), "output fisher output", "output fisher root output")]
    [InlineData(nameof(Likelihood.FisherRootProduct), "output fisher root output")]
    [InlineData(nameof(Likelihood.KlDivergence), "output fisher output")]
    [InlineData(nameof(Likelihood.Sample), "likelihood samples output")]
    public void A_wrong_likelihood_is_found_by_name(string fault, params string[] expected)
    {
        var report = Verify(new Sandwich(x => x.tanh()), new WrongCategorical(fault));
        Assert.Equal(
            expected,
            Failures(report).Where(f => fault != nameof(Likelihood.Sample) || !f.Contains("monte-carlo", StringComparison.Ordinal))
        ); // which draws, too
        AllAgree(Verify(new Sandwich(x => x.tanh()), new WrongCategorical("nothing")));
    }

    [Fact]
    public void A_layer_called_by_forward_is_found()
    {
        string[] all = Failures(Verify(new Sandwich((m, x) => m.Last.call(m.First.forward(x).tanh()))));
        Assert.Equal(["k-fac capture first.weight", "k-fac capture first.bias"], all);
        var report = Verify(new Sandwich((m, x) => m.Last.call(m.First.call(x).tanh() + m.First.forward(x * 2).tanh())));
        Assert.Contains("k-fac capture first.weight", Failures(report));
        Assert.Contains("call(), not forward()", report.ToString(), StringComparison.Ordinal);
        AllAgree(Verify(new Sandwich((m, x) => m.Last.call(m.First.call(x).tanh() + m.First.call(x * 2).tanh()))));
    }

    [Fact]
    public void Unsupported_parameters_and_the_factorisation_error_are_reported()
    {
        var model = nn.Sequential(
            ("a", nn.Linear(4, 6)),
            ("n", nn.PReLU(6)),
            ("t", nn.Tanh()),
            ("b", nn.Linear(6, 3)),
            ("unused", nn.Identity())
        );
        var report = Verifier.Verify(model, new Categorical(), randn(6, 4), Labels());
        AllAgree(report);
        Assert.Contains("n.weight: no K-FAC block", report.ToString(), StringComparison.Ordinal);

        // one example: A ⊗ G is the block itself; against the dense block of more
        Assert.All(
            Verifier.Verify(Mlp(), new Categorical(), randn(1, 4), Labels(1)).Approximations,
            a => Assert.True(a.RelativeError < 1e-7)
        );
        var (mlp, x) = (Mlp().to(ScalarType.Float64), randn(6, 4, dtype: ScalarType.Float64));
        var layer = (Linear)((Sequential)mlp)[2];
        var dense = KfacOptimizer.Dense.Fisher(mlp, x, [layer.weight!, layer.bias!], KfacOptimizer.Dense.CategoricalFisher);
        var h = cat([((Linear)((Sequential)mlp)[0]).call(x).tanh(), ones(6, 1, dtype: ScalarType.Float64)], 1);
        var g =
            Enumerable
                .Range(0, 6)
                .Select(i => KfacOptimizer.Dense.CategoricalFisher(mlp.call(x.narrow(0, i, 1))))
                .Aggregate((p, q) => p + q) / 6;
        double expected = KfacOptimizer.Dense.RelativeError(KfacOptimizer.Dense.Kronecker(h.T.mm(h) / 6, g, bias: true), dense);
        Assert.Equal(
            expected,
            Verifier.Verify(mlp, new Categorical(), x, Labels(6, 4)).Approximations.Single(a => a.Layer == "b").RelativeError,
            1e-9
        );
    }

    [Fact]
    public void The_model_and_its_optimizer_go_on_as_if_nothing_had_been()
    {
        float[] Train(bool verify)
        {
            manual_seed(1);
            var model = nn.Sequential(("a", nn.Linear(4, 5)), ("n", nn.BatchNorm1d(5)), ("d", nn.Dropout(0.2)), ("b", nn.Linear(5, 3)));
            using var kfac = new Kfac(model, new() { Curvature = new() { Fisher = new FisherOptions.Empirical() } }, new Categorical());
            var (x, y) = (randn(8, 4), Labels(8));
            nint[] handles = [.. model.parameters().Select(p => p.Handle)];
            for (int i = 0; i < 3; i++)
            {
                kfac.zero_grad();
                new Categorical().Loss(model.call(x), y).backward();
                if (verify)
                {
                    var before = model
                        .state_dict()
                        .Select(p => p.Value.clone())
                        .Concat(model.parameters().Select(p => p.grad!.clone()))
                        .ToList();
                    Assert.True(Verifier.Verify(model, new Categorical(), x, y).Passed);
                    var after = model.state_dict().Values.Concat(model.parameters().Select(p => p.grad!)).ToList();
                    Assert.All(
                        before.Zip(after),
                        t => Assert.True(t.First.dtype == t.Second.dtype && t.First.eq(t.Second).all().ToBoolean())
                    );
                }
                kfac.step();
            }
            Assert.Equal(handles, model.parameters().Select(p => p.Handle));
            Assert.True(model.training);
            return model.parameters().SelectMany(p => p.Elements<float>()).ToArray();
        }
        Assert.Equal(Train(false), Train(true));
    }

    [Fact]
    public void Each_option_changes_the_result()
    {
        var (model, x, y) = (Mlp(), randn(12, 4), Labels(12, 4));
        VerificationReport With(VerificationOptions options) => Verifier.Verify(model, new Categorical(), x, y, options);
        double[] Errors(VerificationOptions options) => [.. With(options).Checks.Select(c => c.RelativeError)];
        var preset = Errors(new());
        Assert.Equal(preset, Errors(new()));
        foreach (
            var options in (VerificationOptions[])
                [new() { Examples = 12 }, new() { Directions = 3 }, new() { Coordinates = 5 }, new() { Damping = 1 }, new() { Seed = 1 }]
        )
            Assert.NotEqual(preset, Errors(options));
        Assert.Equal(12, With(new() { Examples = 100 }).Examples);
        Assert.Contains(With(new() { MaxJacobian = 0 }).Checks, c => c.Oracle == "finite differences of the outputs");
        var wrong = new Sandwich(h => WrongTanh.apply(h));
        Assert.True(
            Verifier
                .Verify(wrong, new Categorical(), randn(6, 4), Labels(), new() { DifferenceTolerance = 0.1 })
                .Checks.All(c => c.Passed || c.Name != "gradient")
        );
        Assert.Contains(
            With(new() { Tolerance = 1e-18 }).Checks,
            c => c.Outcome == CheckOutcome.Failed && c.Name.StartsWith("k-fac", StringComparison.Ordinal)
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => new VerificationOptions { Examples = 0 });
        Assert.Throws<ArgumentException>(() => Verifier.Verify(model, new Categorical(), x.narrow(0, 0, 0), y));
        Assert.Throws<InvalidOperationException>(() => Verifier.Verify(model, new Categorical(), x * float.NaN, y));
    }

    [Fact]
    public void A_constant_that_stays_float32_is_reported()
    {
        var (square, cube) = (randn(5, 5), randn(1, 5, 5));
        foreach (
            Func<Tensor, Tensor> between in (Func<Tensor, Tensor>[])
                [h => h.mm(square), h => h.matmul(square), h => h.matmul(cube).squeeze(0)]
        )
        {
            var report = Verify(new Sandwich(between));
            var check = Assert.Single(report.Checks);
            Assert.Equal(("forward pass", CheckOutcome.Unavailable), (check.Name, check.Outcome));
            Assert.Contains("does not run in float64", check.Note, StringComparison.Ordinal);
            Assert.Contains("ouble", check.Note, StringComparison.Ordinal);
            Assert.False(report.Passed);
            Assert.Contains("forward pass: The model does not run in float64", report.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_backward_that_throws_is_reported_and_the_other_checks_are_made()
    {
        var report = Verify(new Sandwich(h => ThrowingTanh.apply(h)));
        Assert.Contains(
            report.Checks,
            c =>
                c.Name == "gradient"
                && c.Outcome == CheckOutcome.Unavailable
                && c.Note.Contains("NotSupportedException: no derivative here", StringComparison.Ordinal)
        );
        Assert.Contains(report.Checks, c => c.Name.StartsWith("likelihood", StringComparison.Ordinal) && c.Passed);
    }

    [Fact]
    public void Nothing_stays_behind()
    {
        var (model, x, y) = (Mlp(), randn(6, 4), Labels(6, 4));
        Verifier.Verify(model, new Categorical(), x, y);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Verifier.Verify(model, new Categorical(), x, y);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
