using Amari.Curvature;
using Amari.Kronecker;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The identity that G begins as.</summary>
public sealed class CurvatureOptionsTests : StepRuleTest
{
    [Fact]
    public void Output_factors_begin_as_the_identity_which_fades_with_each_measurement()
    {
        const double Decay = 0.8,
            Start = 3;
        List<Kfac> optimizers = [];
        foreach (double identity in new[] { 0, Start })
        {
            var model = Net();
            var optimizer = new Kfac(
                model,
                new()
                {
                    LearningRate = 0,
                    Step = new FixedStep(),
                    Curvature = new()
                    {
                        Fisher = new FisherOptions.Exact(),
                        FactorEma = Decay,
                        IdentityStart = identity,
                        Refresh = new() { FactorInterval = 1 },
                    },
                },
                new Categorical()
            );
            optimizers.Add(optimizer);
            for (int i = 0; i < 9; i++)
            {
                var (x, y) = Batch(16, i);
                Step(model, optimizer, x, y);
                if (identity == 0)
                    continue;
                var plain = Net();
                using var without = new Kfac(
                    plain,
                    new()
                    {
                        LearningRate = 0,
                        Step = new FixedStep(),
                        Curvature = new()
                        {
                            Fisher = new FisherOptions.Exact(),
                            FactorEma = Decay,
                            Refresh = new() { FactorInterval = 1 },
                        },
                    },
                    new Categorical()
                );
                for (int k = 0; k <= i; k++)
                {
                    var (u, v) = Batch(16, k);
                    Step(plain, without, u, v);
                }
                foreach (
                    var (a, b) in optimizer.Estimate.Blocks.OfType<KroneckerBlock>().Zip(without.Estimate.Blocks.OfType<KroneckerBlock>())
                )
                {
                    Assert.InRange(Dense.RelativeError(a.G!, b.G! + Start * Math.Pow(Decay, i + 1) * eye(b.G!.shape[0])), 0, 1e-12);
                    Assert.InRange(Dense.RelativeError(a.A!, b.A!), 0, 1e-15);
                }
            }
        }
        foreach (var o in optimizers)
            o.Dispose();
    }
}
