using Amari.LeastSquares;
using Amari.Native;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

public sealed class SolutionRecorderTests
{
    [Fact]
    public void Frames_are_few_with_the_first_and_the_last()
    {
        using var scope = NewDisposeScope();
        var workload = new PoissonEquation();
        using var recorder = SolutionRecorder.Of(workload)!;
        Assert.Null(recorder.Result);
        using var model = workload.CreateModel();
        for (int step = 0; step <= 130; step++)
            recorder.Record(model, new(step, step / 10.0, 1));
        var field = recorder.Result!;
        Assert.InRange(field.Frames.Count, 12, 25);
        long[] steps = [.. field.Frames.Select(f => f.Step)];
        Assert.Equal(0, steps[0]);
        Assert.Equal(130, steps[^1]);
        Assert.Single(steps[..^1].Zip(steps[1..^1], (a, b) => b - a).Distinct());
        Assert.Equal(13, field.Frames[^1].Seconds);
    }

    [Theory]
    [InlineData("burgers", "")]
    [InlineData("poisson-5d", "x3 = 0.5, x4 = 0.5, x5 = 0.5")]
    public void A_frame_is_network_minus_solution_over_the_plane(string name, string where)
    {
        using var scope = NewDisposeScope();
        var workload = (PdeWorkload)WorkloadCatalog.Find(name, null);
        using var recorder = SolutionRecorder.Of(workload)!;
        using var model = (PdeModel)workload.CreateModel();
        recorder.Record(model, new(0, 0, 1));
        var field = recorder.Result!;
        Assert.Equal(where, field.Where);
        int i = 30,
            j = 7;
        var point = full([1, workload.Domain.Axes.Count], 0.5, dtype: ScalarType.Float64);
        point[0, 0] = field.X[i];
        point[0, 1] = field.Y[j];
        double u = model.Evaluate(point).ToDouble(),
            exact = workload.Solution(point).ToDouble();
        Assert.Equal(exact, field.Solution[i * field.Y.Count + j], tolerance: 1e-6);
        Assert.Equal(u - exact, field.Frames[0].Error[i * field.Y.Count + j], tolerance: 1e-6);
    }

    [Fact]
    public void Runs_of_equations_have_the_field_and_others_none()
    {
        using var trainer = new Trainer(new PoissonEquation(), null);
        var request = new TrainingRequest(new("adamw", new Dictionary<string, string>()), 1, Budget.OfEpochs(3));
        var run = trainer.Attempt(request, default);
        Assert.Equal(run.Losses.Select(l => l.Step), run.Solution!.Frames.Select(f => f.Step));
        Assert.Null(SolutionRecorder.Of(new DigitsMlp()));

        var result = new BenchmarkResult("poisson", "m", new("m", 1), Budget.OfEpochs(3), [run], []);
        var read = SavedComparison.Read(SavedComparison.Write(result)).Runs[0].Solution!; // a continued comparison shows it, too
        Assert.Equal(run.Solution.Frames[^1].Error, read.Frames[^1].Error);
    }
}
