// Noisy data: what Levenberg-Marquardt and K-FAC add to ordinary training is error bars, not a better fit. Run it with: dotnet run
// samples/regression.cs
#:project ../src/Amari.Workbench/Amari.Workbench.csproj
#:property UsesLibTorch=true
#:property PublishAot=false
using Amari;
using Amari.Curvature;
using Amari.Workloads.Data;
using TorchSharp;
using static TorchSharp.torch;

string[] names = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"];
using var data = Diabetes.Load();
using Tensor x = data.Train.Inputs.@double(),
    y = data.Train.Targets.@double();
using Tensor testX = data.Test!.Inputs.@double(),
    testY = data.Test.Targets.@double();

// y = b₀ + b'x, by least squares
var fit = LevenbergMarquardt.Fit(
    (b, at) => names.Select((_, j) => b[j + 1] * at.select(1, j)).Aggregate(b[0], (sum, term) => sum + term),
    x,
    y.squeeze(1),
    new double[names.Length + 1]
);
using var fitted = fit.Predict(testX).unsqueeze(1);

using var byAdamW = nn.Linear(names.Length, 1, dtype: ScalarType.Float64);
using var adamW = new AdamW(byAdamW, new() { LearningRate = 0.01, WeightDecay = 0 });
Train(byAdamW, adamW, 4000);

using var byKfac = nn.Linear(names.Length, 1, dtype: ScalarType.Float64);
using var kfac = new Kfac(byKfac, new() { LearningRate = 1, Damping = 1e-6 }, new SquaredError());
Train(byKfac, kfac, 200);

// K-FAC's factors at its end: A ⊗ G is the whole Fisher matrix of a linear model, so σ² (n A ⊗ G)⁻¹ is the covariance of the weights
using var factors = new KroneckerFactored(new Objective(byKfac, new SquaredError(), [(x, y)]));
double variance = (byKfac.call(x) - y).square().sum().ToDouble() / (x.shape[0] - names.Length - 1);
var bars = (linalg.inv(factors.ToDense()).diagonal() * (variance / x.shape[0])).sqrt().data<double>().ToArray();

double[] trained = [.. byKfac.weight!.data<double>()];
Console.WriteLine("coefficient   Levenberg-Marquardt         K-FAC");
for (int j = 0; j < names.Length; j++)
    Console.WriteLine(
        FormattableString.Invariant(
            $"{names[j], -11} {fit.Parameters[j + 1], 8:F3} ± {fit.StandardErrors[j + 1]:F3}     {trained[j], 8:F3} ± {bars[j]:F3}"
        )
    );
Console.WriteLine("held-out error (root mean square)");
foreach (
    var (name, error) in ((string, double)[])
        [
            ("mean of the training set", Error(zeros_like(testY))),
            ("Levenberg-Marquardt", Error(fitted)),
            ("K-FAC", Error(byKfac.call(testX))),
            ("AdamW", Error(byAdamW.call(testX))),
        ]
)
    Console.WriteLine(FormattableString.Invariant($"{name, -26} {error:F2}"));

void Train(nn.Module<Tensor, Tensor> model, Optimizer optimizer, int steps)
{
    for (int step = 0; step < steps; step++)
    {
        using var scope = NewDisposeScope();
        optimizer.UpdateCurvature(x, y);
        optimizer.zero_grad();
        new SquaredError().Loss(model.call(x), y).backward();
        optimizer.step();
    }
}

double Error(Tensor f) => Diabetes.Scale * (f - testY).square().mean().sqrt().ToDouble();
