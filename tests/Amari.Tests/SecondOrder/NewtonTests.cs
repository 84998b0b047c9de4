using Amari.Curvature;
using Amari.Reporting;
using Amari.Solvers;
using Amari.Verification;
using static Amari.Tests.SecondOrder.Functions;

namespace Amari.Tests.SecondOrder;

/// <summary>Newton's steps against closed forms, in float64, and where they go that other methods leave.</summary>
public sealed class NewtonTests : IDisposable
{
    private const ScalarType F64 = ScalarType.Float64;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory, InlineData(0.0, 1.0), InlineData(0.7, 1.0), InlineData(0.0, 0.25)]
    public void Newton_s_step_is_the_closed_form(double damping, double rate)
    {
        double x = -1.2,
            y = 1,
            a = 2 - 400 * (y - 3 * x * x) + damping,
            b = -400 * x,
            c = 200 + damping;
        double gx = -2 * (1 - x) - 400 * x * (y - x * x),
            gy = 200 * (y - x * x),
            determinant = a * c - b * b;
        var w = At(x, y);
        using var optimizer = new Newton([w], new() { Damping = damping, LearningRate = rate });
        using var loss = optimizer.step(() => Rosenbrock(w));
        Assert.Equal(24.2, loss.ToDouble(), 1e-12);
        double dx = -(c * gx - b * gy) / determinant,
            dy = -(a * gy - b * gx) / determinant;
        Assert.Equal(x + rate * dx, Values(w)[0], 1e-12);
        Assert.Equal(y + rate * dy, Values(w)[1], 1e-12);
        double model =
            gx * dx * rate + gy * dy * rate + 0.5 * rate * rate * ((a - damping) * dx * dx + 2 * b * dx * dy + (c - damping) * dy * dy);
        Assert.Equal(-model, optimizer.Report!.PredictedReduction!.Value, 1e-9);
        Assert.Equal(Math.Sqrt(gx * gx + gy * gy), optimizer.Report.GradientNorm, 1e-9);
        Assert.Equal(Rosenbrock(w).ToDouble(), optimizer.Report.LossAfter, 1e-12);
        Assert.Equal((24.2 - optimizer.Report.LossAfter) / -model, optimizer.Report.ReductionRatio!.Value, 1e-9);
        Assert.False(optimizer.Report.NegativeCurvature);
    }

    [Fact]
    public void Newton_finds_the_minimum_of_Rosenbrock_s_function()
    {
        var w = At(-1.2, 1);
        using var optimizer = new Newton([w], new() { Damping = 0 });
        for (int i = 0; i < 7; i++)
            optimizer.step(() => Rosenbrock(w)).Dispose();
        Assert.All(Values(w), v => Assert.Equal(1, v, 1e-12));
    }

    [Fact]
    public void Newton_converges_quadratically_on_regularised_softmax_regression()
    {
        manual_seed(2);
        var x = randn(60, 4, dtype: F64);
        var y = randint(0, 3, [60], dtype: ScalarType.Int64);
        var w = nn.Parameter(zeros(4, 3, dtype: F64));
        using var optimizer = new Newton([w], new() { Damping = 0 });
        var path = new List<Tensor>();
        for (int i = 0; i < 10; i++)
        {
            path.Add(w.detach().clone());
            optimizer.step(() => nn.functional.cross_entropy(x.mm(w), y) + 0.01 * w.square().sum()).Dispose();
        }
        var errors = path.Select(p => (p - w).norm().ToDouble()).TakeWhile(e => e > 1e-13).ToList();
        Assert.InRange(errors.Count, 3, 7);
        double exponent = Math.Log(errors[^1] / errors[^2]) / Math.Log(errors[^2] / errors[^3]);
        Assert.True(exponent > 1.9, $"{exponent}: {string.Join(", ", errors)}");
    }

    [Fact]
    public void A_model_s_step_solves_the_dense_damped_system()
    {
        manual_seed(3);
        var model = nn.Linear(4, 3).to(F64);
        var x = randn(20, 4, dtype: F64);
        var y = randint(0, 3, [20], dtype: ScalarType.Int64);
        var before = cat([.. model.parameters().Select(p => p.detach().flatten())]);
        // softmax regression: the Hessian is the Fisher
        var h = KfacOptimizer.Dense.Fisher(model, x, [.. model.parameters()], KfacOptimizer.Dense.CategoricalFisher);
        new Categorical().Loss(model.call(x), y).backward();
        var g = cat([.. model.parameters().Select(p => p.grad!.flatten())]);
        using var optimizer = new Newton(model, new Categorical(), new() { Damping = 0.01 });
        optimizer.StepOnBatch(x, y);
        var expected = before - linalg.solve(h + 0.01 * eye(15, dtype: F64), g.unsqueeze(1)).squeeze(1);
        Assert.True((cat([.. model.parameters().Select(p => p.flatten())]) - expected).abs().max().ToDouble() < 1e-10);
        Assert.True((cat([.. model.parameters().Select(p => p.grad!.flatten())]) - g).abs().max().ToDouble() == 0);
    }

    [Fact]
    public void Near_a_saddle_newton_goes_to_it_and_the_others_leave()
    {
        var start = new[] { 0.5, 1e-3 };
        var w = At(start);
        using (var newton = new Newton([w], new() { Damping = 0 }))
        {
            for (int i = 0; i < 5; i++)
                newton.step(() => Saddle(w)).Dispose();
            Assert.True(newton.Report!.NegativeCurvature);
        }
        Assert.All(Values(w), v => Assert.Equal(0, v, 1e-9));

        foreach (
            var make in (Func<Parameter, SecondOrderOptimizer>[])
                [p => new SaddleFreeNewton([p], new() { Damping = 0 }), p => new NewtonCg([p], new() { Tolerance = 1e-6 })]
        )
        {
            var v = At(start);
            using var optimizer = make(v);
            optimizer.step(() => Saddle(v))!.Dispose();
            Assert.True(optimizer.Report!.NegativeCurvature);
            for (int i = 0; i < 40; i++)
                optimizer.step(() => Saddle(v))!.Dispose();
            Assert.Equal(0, Values(v)[0], 1e-6);
            Assert.Equal(Math.Sqrt(2), Math.Abs(Values(v)[1]), 1e-6);
            Assert.False(optimizer.Report!.NegativeCurvature);
        }
    }

    [Fact]
    public void What_is_singular_is_logged_and_still_tried()
    {
        var w = At(1, 1);
        using var optimizer = new Newton([w], new() { Damping = 0 });
        optimizer.step(() => w[0].square()).Dispose(); // flat in the second coordinate
        Assert.Contains(optimizer.Events, e => e.Message.Contains("singular", StringComparison.Ordinal));
        Assert.Equal(0, Values(w)[0], 1e-5);
        Assert.Equal(1, Values(w)[1]);
    }

    [Fact]
    public void Step_into_what_is_not_finite_is_taken_back()
    {
        var w = At(10);
        using var optimizer = new Newton([w], new() { Damping = 0 });
        optimizer.step(() => w[0] - w[0].log()).Dispose(); // the step goes to -80
        Assert.Equal(10, Values(w)[0]);
        Assert.Equal((StepOutcome.Rejected, double.NegativeInfinity), (optimizer.Report!.Outcome, optimizer.Report.ReductionRatio));
        Assert.Equal(optimizer.Report.LossBefore, optimizer.Report.LossAfter);
    }
}
