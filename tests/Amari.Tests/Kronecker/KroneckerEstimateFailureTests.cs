using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Kronecker;
using Amari.Solvers;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Factorisations that fail inside a running optimizer, and states that cannot be restored.</summary>
public sealed class KroneckerEstimateFailureTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(5, 4),
            b = nn.Linear(4, 3);
        private readonly PReLU p = nn.PReLU(1);
        private readonly LayerNorm n = nn.LayerNorm(4);

        public Net()
            : base("net") => RegisterComponents();

        /// <summary>Whether b hides from K-FAC.</summary>
        public bool Hides { get; init; }

        public override Tensor forward(Tensor x)
        {
            var h = n.call(p.call(a.call(x)));
            return Hides ? b.forward(h) : b.call(h);
        }
    }

    private static Net Model(bool hides = false)
    {
        manual_seed(41);
        return new() { Hides = hides };
    }

    private static void Step(Net model, Kfac optimizer, int seed)
    {
        using var generator = new Generator((ulong)seed);
        optimizer.zero_grad();
        new Categorical().Loss(model.call(randn([8, 5], generator: generator)), randint(0, 3, [8], generator: generator)).backward();
        optimizer.step();
    }

    private sealed class Returns(Func<Tensor, Tensor> change) : nn.Module<Tensor, Tensor>("returns")
    {
        private readonly Linear a = nn.Linear(5, 3);

        public Returns Registered()
        {
            RegisterComponents();
            return this;
        }

        public override Tensor forward(Tensor x) => change(a.call(x));
    }

    [Fact]
    public void Outputs_that_cannot_be_measured_are_refused_in_a_sentence()
    {
        foreach (var kind in (FisherKind[])[FisherKind.Exact, FisherKind.MonteCarlo, FisherKind.CurvaturePropagation, FisherKind.Empirical])
        {
            Refused(f => f.sum(), 8, "The output of the model returns is a scalar");
            Refused(_ => null!, 8, "The model returns returned null");
            Refused(f => f, 0, "The batch has no examples");

            void Refused(Func<Tensor, Tensor> change, long examples, string expected)
            {
                var model = new Returns(change).Registered();
                using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = FisherOptions.Of(kind) } }, new Categorical());
                Assert.StartsWith(
                    expected,
                    Assert.Throws<InvalidOperationException>(() => model.call(randn(examples, 5))).Message,
                    StringComparison.Ordinal
                );
            }
        }
    }

    private static OptimizerSnapshot With(OptimizerSnapshot snapshot, string name, Func<Tensor, Tensor> change) =>
        new(snapshot.Tensors.ToDictionary(t => t.Key, t => t.Key == name ? change(t.Value) : t.Value), snapshot.Values);

    private static double[] Saved(Kfac optimizer, params string[] names) =>
        Optimizers.Problem.Values(names.Select(n => optimizer.Snapshot().Tensors[n]));

    /// <summary>With no negative number on its diagonal, for which it would be refused.</summary>
    private static Tensor Indefinite(Tensor t) => 1e6 * (1 - eye(t.shape[^1])).expand(t.shape).clone();

    /// <summary>Off the diagonal, so that only the decomposition meets it.</summary>
    private static Tensor Undefined(Tensor t)
    {
        var u = t.clone();
        u[1, 0] = double.NaN;
        return u;
    }

    public static TheoryData<DampingMethod, string, string, string> Broken =>
        new()
        {
            { DampingMethod.FactoredTikhonov, nameof(InverseOptions.Cholesky), "a.G", "a.Left" },
            { DampingMethod.FactoredTikhonov, nameof(InverseOptions.NewtonSchulz), "b.A", "b.Right" },
            { DampingMethod.FactoredTikhonov, nameof(InverseOptions.Nystrom), "a.A", "a.Right" },
            { DampingMethod.Eigenbasis, nameof(InverseOptions.Cholesky), "a.G", "a.Left" },
            { DampingMethod.Ekfac, nameof(InverseOptions.Cholesky), "b.A", "b.Right" },
            { DampingMethod.FactoredTikhonov, nameof(InverseOptions.Cholesky), "n.F", "n.Blocks" },
        };

    [Theory, MemberData(nameof(Broken))]
    public void A_failed_factorisation_is_reported_and_the_previous_inverse_stays(
        DampingMethod method,
        string inverse,
        string factor,
        string kept
    )
    {
        var model = Model();
        using var optimizer = new Kfac(
            model,
            new()
            {
                Curvature = new()
                {
                    Inverse =
                        method == DampingMethod.FactoredTikhonov
                            ? InverseOptions.Of(Enum.Parse<InverseMethod>(inverse))
                            : InverseOptions.Of(method),
                    FactorEma = 0.999,
                    Refresh = new()
                    {
                        FactorInterval = 1,
                        InverseInterval = 2,
                        Warmup = null,
                    },
                },
            },
            new Categorical()
        );
        for (int i = 0; i < 4; i++)
            Step(model, optimizer, i);
        optimizer.Restore(With(optimizer.Snapshot(), factor, method == DampingMethod.FactoredTikhonov ? Indefinite : Undefined));
        var (before, start) = (Saved(optimizer, kept), Optimizers.Problem.Values(model.parameters()));
        for (int i = 4; i < 8; i++)
            Step(model, optimizer, i);
        var logged = Assert.Single(
            optimizer.Events,
            e => e.Message.StartsWith($"the factorisation of {factor[^1]} failed", StringComparison.Ordinal)
        );
        Assert.Equal((factor[..1], 5), (logged.Subject, logged.Step));
        Assert.Equal(
            $"the factorisation of {factor[^1]} failed at first; the previous inverse stays in use (2 times by now)",
            logged.Message
        );
        Assert.Equal(before, Saved(optimizer, kept));
        var after = Optimizers.Problem.Values(model.parameters());
        Assert.All(start.Zip(after), v => Assert.True(v.First != v.Second && double.IsFinite(v.Second)));
    }

    [Theory, InlineData("a.G"), InlineData("n.F")]
    public void Without_a_previous_inverse_it_is_a_multiple_of_the_identity(string factor)
    {
        var model = Model();
        using var optimizer = new Kfac(
            model,
            new()
            {
                Curvature = new()
                {
                    FactorEma = 0.999,
                    Refresh = new()
                    {
                        FactorInterval = 1,
                        InverseInterval = 2,
                        Warmup = null,
                    },
                },
            },
            new Categorical()
        );
        for (int i = 0; i < 4; i++)
            Step(model, optimizer, i);
        var (tensors, values) = With(optimizer.Snapshot(), factor, Indefinite);
        optimizer.Restore(new(tensors.Where(t => t.Key.Split('.')[^1] is not ("Left" or "Right" or "Blocks")).ToDictionary(), values));
        Step(model, optimizer, 4);
        Assert.Contains(
            optimizer.Events,
            e =>
                e.Subject == factor[..1]
                && e.Message.EndsWith("a multiple of the identity is used until the next refresh", StringComparison.Ordinal)
        );
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }

    public static TheoryData<string, string> Gaps =>
        new()
        {
            { "a.A", "a.A" },
            { "n.F", "n.F" },
            { "a.Right", "Right" },
            { "generator", "generator" },
            { "fallback.p.weight.FirstMoment", "p.weight.FirstMoment" },
            { "rates", "rates" },
            { "awaited", "awaited" }, // as states of earlier versions do
            { "fallback.b.weight.SecondMoment", "b.weight.SecondMoment" }, // of the layer that AdamW has taken over in the saved run
        };

    /// <summary>The state of a run that handed a layer to AdamW, into one that did not.</summary>
    [Theory, MemberData(nameof(Gaps))]
    public void A_state_with_a_gap_is_refused_and_nothing_is_changed(string missing, string named)
    {
        Kfac.Options options = new()
        {
            Curvature = new()
            {
                Refresh = new() { FactorInterval = 1, InverseInterval = 2 },
            },
        };
        var (other, model, untouched) = (Model(hides: true), Model(), Model());
        using var saved = new Kfac(other, options with { LearningRate = 0.01 }, new Categorical());
        using var optimizer = new Kfac(model, options, new Categorical());
        using var twin = new Kfac(untouched, options, new Categorical());
        for (int i = 0; i < 3; i++)
            Step(other, saved, i);
        Assert.Equal("AdamW", saved.Coverage.Rows.Single(r => r.Parameter == "b.weight").Block);
        for (int i = 0; i < 3; i++)
            Step(model, optimizer, i);
        var (tensors, values) = saved.Snapshot();
        values.Remove(missing);
        var error = Assert.Throws<InvalidDataException>(() =>
            optimizer.Restore(new(tensors.Where(t => t.Key != missing).ToDictionary(), values))
        );
        Assert.Contains("lacks", error.Message, StringComparison.Ordinal);
        Assert.Contains($"'{named}'", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(optimizer.Coverage.Rows, r => r is { Parameter: "b.weight", Block: "AdamW" });
        for (int i = 3; i < 6; i++)
            Step(model, optimizer, i);
        for (int i = 0; i < 6; i++)
            Step(untouched, twin, i);
        Assert.Equal(Optimizers.Problem.Values(untouched.parameters()), Optimizers.Problem.Values(model.parameters()));
        optimizer.Restore(saved.Snapshot()); // the whole one
        Assert.Equal("AdamW", optimizer.Coverage.Rows.Single(r => r.Parameter == "b.weight").Block);
    }
}
