using Amari.LeastSquares;
using Amari.Tests.LeastSquares;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.KfacOptimizer;

/// <summary>K-FAC on physics-informed models: over the components of jets.</summary>
public sealed class KfacPdeTests : IDisposable
{
    private const int Steps = 80;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static (PdeModel Model, Tensor Rows, Tensor Zero) Problem()
    {
        manual_seed(2);
        var (model, (interior, boundary)) = (PdeModelTests.Poisson(10, hidden: 32), PdeModelTests.Points(60, 20));
        return (model, model.Rows(interior, boundary), zeros(80, 1, dtype: F64));
    }

    private static double Loss(PdeModel model, Tensor rows, Tensor zero)
    {
        using var off = no_grad();
        return new SquaredError().Loss(model.call(rows), zero).ToDouble();
    }

    private static double ByAdamW(double rate)
    {
        var (model, rows, zero) = Problem();
        using var optimizer = new AdamW(model, new() { LearningRate = rate });
        for (int i = 0; i < Steps; i++)
        {
            optimizer.zero_grad();
            new SquaredError().Loss(model.call(rows), zero).backward();
            optimizer.step();
        }
        return Loss(model, rows, zero);
    }

    private static Kfac Make(PdeModel model, InverseOptions inverse, StepRule step) =>
        new(
            model,
            new()
            {
                LearningRate = step is FixedStep ? 0.3 : 1,
                Damping = 1e-4,
                Step = step,
                Strict = true,
                Curvature = new()
                {
                    Inverse = inverse,
                    Refresh = new()
                    {
                        FactorInterval = 1,
                        InverseInterval = 1,
                        Warmup = null,
                    },
                },
            },
            new SquaredError()
        );

    private static readonly QuadraticStep Model = new()
    {
        BatchSize = null,
        AdaptiveDamping = new() { Interval = 1, Decay = 0.9 },
    };

    [Theory, InlineData("Kronecker", 30), InlineData("corrected", 5)]
    public void Loss_falls_far_below_the_best_of_AdamW(string inverse, double factor)
    {
        double best = ((double[])[0.01, 0.03, 0.1, 0.2]).Min(ByAdamW);
        var (model, rows, zero) = Problem();
        using var optimizer = Make(
            model,
            inverse == "corrected" ? new InverseOptions.EigenvalueCorrection() : new InverseOptions.Eigenbasis(),
            Model
        );
        for (int i = 0; i < Steps; i++)
            optimizer.StepOnBatch(rows, zero);
        Assert.InRange(Loss(model, rows, zero), 0, best / factor);
    }

    [Fact]
    public void Every_layer_has_a_Kronecker_block()
    {
        using var optimizer = Make(Problem().Model, new InverseOptions.Cholesky(), Model);
        Assert.All(optimizer.Coverage.Rows, row => Assert.Equal("K-FAC Linear", row.Block));
        Assert.Equal(4, optimizer.Coverage.Rows.Count);
    }

    [Fact]
    public void Fixed_steps_by_backward_and_step_train_it()
    {
        var (model, rows, zero) = Problem();
        double start = Loss(model, rows, zero);
        using var optimizer = Make(model, new InverseOptions.Cholesky(), new FixedStep { KlClip = 0.1 });
        for (int i = 0; i < Steps; i++)
        {
            optimizer.zero_grad();
            new SquaredError().Loss(model.call(rows), zero).backward();
            optimizer.step();
        }
        Assert.InRange(Loss(model, rows, zero), 0, start / 20);
    }

    [Fact]
    public void Steps_do_not_depend_on_the_order_of_rows()
    {
        var (model, rows, zero) = Problem();
        var (other, _, _) = Problem();
        var order = randperm(80, dtype: ScalarType.Int64);
        using var one = Make(model, new InverseOptions.Cholesky(), new FixedStep());
        using var two = Make(other, new InverseOptions.Cholesky(), new FixedStep());
        for (int i = 0; i < 3; i++)
        {
            one.StepOnBatch(rows, zero);
            two.StepOnBatch(rows.index_select(0, order), zero);
        }
        foreach (var (p, q) in model.parameters().Zip(other.parameters()))
            Near(q, p, 1e-7);
    }

    [Fact]
    public void Steps_leave_no_tensors()
    {
        var (model, rows, zero) = Problem();
        using var optimizer = Make(model, new InverseOptions.EigenvalueCorrection(), Model);
        long live = 0;
        for (int i = 0; i < 15; i++)
        {
            optimizer.StepOnBatch(rows, zero);
            if (i == 7)
                live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        }
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
