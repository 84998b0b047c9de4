using Amari.Jets;
using Amari.LeastSquares;
using Amari.Tests.LeastSquares;
using Amari.Verification;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Verification;

/// <summary>The verifier on losses that are sums of squares, and on physics-informed models.</summary>
public sealed class VerifierLeastSquaresTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public VerifierLeastSquaresTests() => manual_seed(3);

    public void Dispose() => _scope.Dispose();

    private static VerificationReport Verify(PdeModel model)
    {
        var (interior, boundary) = PdeModelTests.Points(6, 4);
        var rows = model.Rows(interior, boundary);
        return Verifier.Verify(model, new SquaredError(), rows, zeros(10, 1, dtype: F64), new() { Examples = 10 });
    }

    [Fact]
    public void Physics_informed_models_agree_with_nested_derivatives()
    {
        var report = Verify(PdeModelTests.Poisson());
        Assert.True(report.Passed, report.ToString());
        Assert.Equal(["interior", "boundary"], report.Checks.Where(c => c.Name == "jets").Select(c => c.Parameter));
        var exact = report.Checks.Where(c => c.Name is "jets" or "jacobian" or "normal product" or "gram matrix").ToList();
        Assert.Equal(2 + 4 + 4 + 1, exact.Count);
        Assert.All(exact, c => Assert.InRange(c.RelativeError, 0, 1e-12));
        Assert.All(exact, c => Assert.Equal("nested reverse mode", c.Oracle));
        Assert.DoesNotContain(report.Checks, c => c.Outcome == CheckOutcome.Inconclusive);
        var kfac = report.Checks.Where(c => c.Name.StartsWith("k-fac", StringComparison.Ordinal)).ToList();
        foreach (string check in (string[])["k-fac capture", "k-fac factors (exact)", "k-fac step"])
            Assert.Contains(kfac, c => c.Name == check);
        string text = report.ToString();
        Assert.Contains("J'Jv", text);
        Assert.Matches("jets +to 1[2-6] digits or more with nested reverse mode", text);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Sums_of_squares_have_their_jacobian_checked(bool norm)
    {
        var (first, last) = (nn.Linear(4, 5), nn.Linear(5, 2));
        var model = norm ? nn.Sequential(first, nn.LayerNorm(5), nn.Tanh(), last) : nn.Sequential(first, nn.Tanh(), last);
        foreach (Likelihood likelihood in (Likelihood[])[new SquaredError(), new Gaussian(0.3)])
        {
            var report = Verifier.Verify(model, likelihood, randn(6, 4), randn(6, 2));
            Assert.True(report.Checks.All(c => c.Passed), report.ToString());
            Assert.Equal(norm ? 6 : 4, report.Checks.Count(c => c.Name == "jacobian"));
            Assert.Single(report.Checks, c => c.Name == "gram matrix");
        }
        var classes = Verifier.Verify(model, new Categorical(), randn(6, 4), randint(0, 2, [6], dtype: ScalarType.Int64));
        Assert.DoesNotContain(classes.Checks, c => c.Name == "jacobian");
    }

    [Fact]
    public void A_wrong_derivative_of_a_jet_is_found()
    {
        var model = new PdeModel(
            new(nn.Sequential(nn.Linear(2, 5), new WrongSine(), nn.Linear(5, 1)).to(F64)),
            new ResidualTerm("interior", JetSpec.Laplacian(2), (u, _) => u.Laplacian),
            new ResidualTerm("boundary", JetSpec.Value(2), (u, _) => u.Value)
        );
        var report = Verify(model);
        Assert.False(report.Passed);
        var failed = Assert.Single(report.Checks, c => c is { Name: "jets", Outcome: CheckOutcome.Failed });
        Assert.Equal("interior", failed.Parameter);
        Assert.Contains("another derivative", failed.Note);
    }

    private sealed class WrongSine() : nn.Module<Tensor, Tensor>(nameof(WrongSine)), IJetModule
    {
        public override Tensor forward(Tensor x) => x.sin();

        public Jet Push(Jet x) => x.Map(z => (z.sin(), z.cos(), z.sin())); // its second derivative is -sin
    }
}
