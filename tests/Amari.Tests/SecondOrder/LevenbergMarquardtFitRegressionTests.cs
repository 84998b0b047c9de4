using Amari.Native;
using Amari.Workloads.Data;

namespace Amari.Tests.SecondOrder;

/// <summary>A public regression set of noisy data: error bars next to the closed form, and the held-out error next to training.</summary>
public sealed class LevenbergMarquardtFitRegressionTests
{
    private const int Predictors = 10;

    private static Tensor Linear(Tensor b, Tensor x) =>
        Enumerable.Range(0, Predictors).Aggregate(b[0], (sum, j) => sum + b[j + 1] * x.select(1, j));

    [Fact]
    public void Linear_regression_has_the_errors_of_the_closed_form()
    {
        using var scope = torch.NewDisposeScope();
        using var data = Diabetes.Load();
        var (x, y) = (data.Train.Inputs.to_type(ScalarType.Float64), data.Train.Targets.squeeze(1).to_type(ScalarType.Float64));
        var fit = LevenbergMarquardt.Fit(Linear, x, y, new double[Predictors + 1]);
        Assert.True(fit.Converged, fit.Reason);
        var design = torch.cat([torch.ones_like(y).unsqueeze(1), x], 1);
        var inverse = torch.linalg.inv(design.t().mm(design));
        var b = inverse.mv(design.t().mv(y));
        double variance = (design.mv(b) - y).square().sum().item<double>() / (332 - 11);
        double[] errors = inverse.diagonal().mul(variance).sqrt().Elements<double>();
        Assert.All(fit.Parameters.Zip(b.Elements<double>()), p => Assert.Equal(p.Second, p.First, 1e-10));
        Assert.All(fit.StandardErrors.Zip(errors), p => Assert.Equal(p.Second, p.First, 1e-10));

        torch.random.manual_seed(0);
        using var model = nn.Linear(Predictors, 1, dtype: ScalarType.Float64);
        using var optimizer = new AdamW(model, new() { LearningRate = 0.01, WeightDecay = 0 });
        for (int step = 0; step < 4000; step++)
        {
            optimizer.zero_grad();
            nn.functional.mse_loss(model.call(x).squeeze(1), y).backward();
            optimizer.step();
        }
        var (testX, testY) = (data.Test!.Inputs.to_type(ScalarType.Float64), data.Test.Targets.squeeze(1).to_type(ScalarType.Float64));
        double Error(Tensor f) => Diabetes.Scale * Math.Sqrt((f - testY).square().mean().item<double>());
        double fitted = Error(fit.Predict(testX)),
            trained = Error(model.call(testX).squeeze(1));
        var robust = LevenbergMarquardt.Fit(Linear, x, y, new double[Predictors + 1], new() { Loss = RobustLoss.Huber, LossScale = 0.5 });
        double huber = Error(robust.Predict(testX)),
            mean = Error(torch.zeros_like(testY));
        TestContext.Current.SendDiagnosticMessage(
            $"diabetes: held-out RMSE {fitted:F2}, AdamW {trained:F2}, Huber {huber:F2}, mean {mean:F2}; R² {fit.RSquared:F3}; "
                + string.Join(", ", fit.Parameters.Zip(fit.StandardErrors, (v, e) => $"{v:F3}±{e:F3}"))
        );
        Assert.InRange(fitted, 0.7 * mean, 0.85 * mean);
        Assert.Equal(fitted, huber, 0.5);
        Assert.Equal(fitted, trained, 0.1); // the minimum is the same: what the fit adds is its error bars
    }
}
