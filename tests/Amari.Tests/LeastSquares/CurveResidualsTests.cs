using Amari.LeastSquares;
using Amari.Native;

namespace Amari.Tests.LeastSquares;

/// <summary>Residuals of curves: Jacobian, second derivative and products against closed forms and differences.</summary>
public sealed class CurveResidualsTests
{
    private const int N = 7;

    private static Tensor X => torch.linspace(0.1, 2, N, dtype: ScalarType.Float64);

    private static Tensor Y => X.sin();

    private static Parameter B(params double[] values) => new(torch.tensor(values, dtype: ScalarType.Float64));

    private static Tensor Decay(Tensor b, Tensor x) => b[0] * torch.exp(-b[1] * x) + b[2];

    /// <summary>Each value depends on all data.</summary>
    private static Tensor Normalised(Tensor b, Tensor x) => b[0] * x / (b[1] * x).exp().sum() + b[2];

    /// <summary>A function of the vector of parameters, which columns of them do not fit.</summary>
    private static Tensor Linear(Tensor b, Tensor x) => torch.stack([x, x.square(), torch.ones_like(x)], 1).mv(b).exp();

    public static TheoryData<string> Functions => ["decay", "normalised", "linear"];

    private static Func<Tensor, Tensor, Tensor> Named(string name) =>
        name switch
        {
            "decay" => Decay,
            "normalised" => Normalised,
            _ => Linear,
        };

    /// <summary>Central differences of the values : [n, p].</summary>
    private static double[][] Differences(CurveResiduals residuals, Parameter b, double h = 1e-6)
    {
        using var off = torch.no_grad();
        return
        [
            .. Enumerable
                .Range(0, (int)b.shape[0])
                .Select(j =>
                {
                    b[j].add_(h);
                    double[] up = residuals.Values().Elements<double>();
                    b[j].sub_(2 * h);
                    double[] down = residuals.Values().Elements<double>();
                    b[j].add_(h);
                    return up.Zip(down, (u, d) => (u - d) / (2 * h)).ToArray();
                }),
        ];
    }

    [Theory, MemberData(nameof(Functions))]
    public void Jacobian_is_that_of_the_values(string function)
    {
        using var scope = torch.NewDisposeScope();
        using var b = B(0.8, 1.3, 0.2);
        var residuals = new CurveResiduals(Named(function), X, Y, b, torch.linspace(0.5, 2, N, dtype: ScalarType.Float64));
        using var at = residuals.Linearize();
        double[] values = residuals.Values().Elements<double>();
        Assert.All(at.R.Elements<double>().Zip(values), p => Assert.Equal(p.Second, p.First, 1e-15));
        var jacobian = at.Jacobian();
        Assert.Equal([N, 3], jacobian.shape);
        foreach (var (column, j) in Differences(residuals, b).Select((c, j) => (c, j)))
            Assert.All(
                jacobian.select(1, j).Elements<double>().Zip(column),
                p => Assert.Equal(p.Second, p.First, 1e-8 * Math.Max(1, Math.Abs(p.Second)))
            );
    }

    [Fact]
    public void Jacobian_of_a_decay_is_exact()
    {
        using var scope = torch.NewDisposeScope();
        using var b = B(0.8, 1.3, 0.2);
        using var at = new CurveResiduals(Decay, X, Y, b).Linearize();
        var e = torch.exp(-1.3 * X);
        var expected = torch.stack([e, -0.8 * X * e, torch.ones_like(e)], 1);
        Assert.InRange((at.Jacobian() - expected).abs().max().item<double>(), 0, 1e-15);
        var (v, u) = (torch.randn(3, dtype: ScalarType.Float64), torch.randn([N, 2], dtype: ScalarType.Float64));
        Assert.InRange((at.Apply(v) - expected.mv(v)).abs().max().item<double>(), 0, 1e-14);
        Assert.InRange((at.ApplyTransposed(u) - expected.t().mm(u)).abs().max().item<double>(), 0, 1e-14);
        Assert.InRange((at.Normal.ToDense() - expected.t().mm(expected)).abs().max().item<double>(), 0, 1e-14);
        Assert.InRange((at.Gram.ToDense() - expected.mm(expected.t())).abs().max().item<double>(), 0, 1e-14);
        Assert.Equal((N, 3), (at.Rows, at.Columns));
    }

    [Fact]
    public void Second_derivative_of_a_decay_is_exact()
    {
        using var scope = torch.NewDisposeScope();
        using var b = B(0.8, 1.3, 0.2);
        var residuals = new CurveResiduals(Decay, X, Y, b);
        using var at = residuals.Linearize();
        double[] v = [0.3, -0.7, 2];
        var e = torch.exp(-1.3 * X);
        var expected = 2 * v[0] * v[1] * (-X * e) + v[1] * v[1] * 0.8 * X.square() * e;
        using var found = residuals.SecondDerivative(at, torch.tensor(v, dtype: ScalarType.Float64));
        Assert.InRange((found - expected).abs().max().item<double>(), 0, 1e-15);
    }

    [Fact]
    public void Second_derivative_of_a_linear_function_is_zero()
    {
        using var b = B(0.8, 1.3);
        using var x = X;
        using var y = Y;
        var residuals = new CurveResiduals((w, z) => w[0] + w[1] * z, x, y, b);
        using var at = residuals.Linearize();
        using var v = torch.ones(2, dtype: ScalarType.Float64);
        using var found = residuals.SecondDerivative(at, v);
        Assert.All(found.Elements<double>(), r => Assert.Equal(0, r));
    }

    [Theory]
    [InlineData(RobustLoss.Huber)]
    [InlineData(RobustLoss.SoftL1)]
    [InlineData(RobustLoss.Cauchy)]
    public void Robust_residuals_have_their_own_jacobian_and_curvature(RobustLoss loss)
    {
        using var scope = torch.NewDisposeScope();
        using var b = B(2, 1.3, 0.3); // residuals on both sides of the scale
        var residuals = new CurveResiduals(Decay, X, Y, b, null, loss, 0.4);
        using var at = residuals.Linearize();
        foreach (var (column, j) in Differences(residuals, b).Select((c, j) => (c, j)))
            Assert.All(at.Jacobian().select(1, j).Elements<double>().Zip(column), p => Assert.Equal(p.Second, p.First, 1e-8));
        var v = torch.tensor((double[])[0.3, -0.7, 0.5], dtype: ScalarType.Float64);
        const double h = 1e-4;
        var middle = residuals.Values();
        Tensor At(double t)
        {
            using var off = torch.no_grad();
            b.add_(v, alpha: t);
            var values = residuals.Values();
            b.add_(v, alpha: -t);
            return values;
        }
        var expected = (At(h) + At(-h) - 2 * middle) / (h * h);
        Assert.InRange((residuals.SecondDerivative(at, v) - expected).abs().max().item<double>(), 0, 1e-5);
    }

    [Fact]
    public void A_linearization_stays_valid_when_the_parameters_change()
    {
        using var scope = torch.NewDisposeScope();
        using var b = B(0.8, 1.3, 0.2);
        var residuals = new CurveResiduals(Decay, X, Y, b);
        using var at = residuals.Linearize();
        var v = torch.ones(3, dtype: ScalarType.Float64);
        var (jacobian, second) = (at.Jacobian(), residuals.SecondDerivative(at, v));
        using (torch.no_grad())
            b.fill_(5);
        Assert.True(jacobian.equal(at.Jacobian()).all().item<bool>());
        Assert.True(second.equal(residuals.SecondDerivative(at, v)).all().item<bool>());
    }

    [Fact]
    public void A_constant_function_is_repeated_for_each_datum()
    {
        using var scope = torch.NewDisposeScope();
        using var b = B(0.8);
        using var at = new CurveResiduals((w, _) => w[0], X, Y, b).Linearize();
        Assert.All(at.Jacobian().Elements<double>(), j => Assert.Equal(1, j));
    }

    [Fact]
    public void Values_that_are_not_finite_do_not_throw()
    {
        using var scope = torch.NewDisposeScope();
        using var b = B(-1);
        var residuals = new CurveResiduals((w, x) => torch.log(w[0] * x), X, Y, b);
        Assert.All(residuals.Values().Elements<double>(), v => Assert.Equal(double.NaN, v));
        using var at = residuals.Linearize();
        Assert.True(at.R.isnan().all().item<bool>());
    }

    [Fact]
    public void Arguments_that_do_not_fit_are_refused()
    {
        using var scope = torch.NewDisposeScope();
        using var b = B(0.8, 1.3, 0.2);
        Assert.Contains(
            "The function returned [1] for 7 data; it must return one number for each, [7].",
            Assert.Throws<ArgumentException>(() => new CurveResiduals((w, _) => w[0].unsqueeze(0), X, Y, b).Values()).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "y is Float64 [6]; it must be Float64 [7]",
            Assert.Throws<ArgumentException>(() => new CurveResiduals(Decay, X, Y[..6], b)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "The function failed with [3] parameters and x [7]: ",
            Assert.Throws<ArgumentException>(() => new CurveResiduals((w, x) => w * x, X, Y, b).Values()).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => new CurveResiduals(Decay, X, Y, b, null, RobustLoss.Huber, 0));
    }

    [Fact]
    public void Steps_leave_no_tensors_behind()
    {
        using var b = B(0.8, 1.3, 0.2);
        using var x = X;
        using var y = Y;
        using var v = torch.ones(3, dtype: ScalarType.Float64);
        var residuals = new CurveResiduals(Decay, x, y, b, null, RobustLoss.Cauchy);
        Once();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 20; i++)
            Once();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Once()
        {
            using var at = residuals.Linearize();
            residuals.Values().Dispose();
            residuals.SecondDerivative(at, v).Dispose();
            at.Jacobian().Dispose();
            at.Apply(v).Dispose();
        }
    }
}
