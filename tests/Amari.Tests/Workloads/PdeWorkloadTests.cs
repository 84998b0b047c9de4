using Amari.Jets;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

public sealed class PdeWorkloadTests
{
    public static TheoryData<string> Names => [.. WorkloadCatalog.All.OfType<PdeWorkload>().Select(w => w.Name)];

    /// <summary>With the equation of samples/OwnEquation.</summary>
    public static TheoryData<string> WithSample => [.. WorkloadCatalog.All.OfType<PdeWorkload>().Select(w => w.Name), Sample.Name];

    private static OwnEquation.Helmholtz Sample { get; } = new();

    private static PdeWorkload Find(string name) => name == Sample.Name ? Sample : (PdeWorkload)WorkloadCatalog.Find(name, null);

    private static PdeWorkload With(string name, params (string, string)[] settings) =>
        (PdeWorkload)Find(name).With(settings.ToDictionary(s => s.Item1, s => s.Item2));

    /// <summary>The jet of the solution by central differences of fourth order goes into each condition.</summary>
    [Theory]
    [MemberData(nameof(WithSample))]
    public void The_solution_satisfies_every_condition(string name)
    {
        using var scope = NewDisposeScope();
        var workload = Find(name);
        foreach (var condition in workload.Conditions)
        {
            var points = workload.Domain.Points(condition.Where, 200, seed: 5);
            if (name == "burgers" && condition.Where == Region.Interior)
            {
                // away from the front and the initial time, where differences are not exact enough
                points = points.index(points.select(1, 1).abs().gt(0.3).logical_and(points.select(1, 0).gt(0.05)));
                Assert.True(points.shape[0] > 50);
            }
            var residual = condition.Residual(new(condition.Derivatives, Differences(workload, condition.Derivatives, points)), points);
            Assert.Equal([points.shape[0], 1], residual.shape);
            Assert.Equal(0, residual.abs().max().ToDouble(), tolerance: 1e-6);
        }
    }

    private static Tensor Differences(PdeWorkload workload, JetSpec spec, Tensor points)
    {
        const double H = 1e-3;
        int d = workload.Domain.Axes.Count;
        Tensor At(int i, double a, int j = 0, double b = 0)
        {
            var moved = points.clone();
            moved.select(1, i).add_(a * H);
            moved.select(1, j).add_(b * H);
            return workload.Solution(moved);
        }
        Tensor First(int i) => (8 * (At(i, 1) - At(i, -1)) - (At(i, 2) - At(i, -2))) / (12 * H);
        Tensor Second(int i, int j) =>
            i == j
                ? (16 * (At(i, 1) + At(i, -1)) - (At(i, 2) + At(i, -2)) - 30 * At(i, 0)) / (12 * H * H)
                : (4 * Cross(i, j, 1) - Cross(i, j, 2)) / 3;
        Tensor Cross(int i, int j, double s) =>
            (At(i, s, j, s) - At(i, s, j, -s) - At(i, -s, j, s) + At(i, -s, j, -s)) / (4 * s * s * H * H);
        var parts = new List<Tensor> { workload.Solution(points) };
        parts.AddRange(spec.First.Select(First));
        parts.AddRange(spec.Left.Zip(spec.Right, (l, r) => Second(spec.First[l], spec.First[r])));
        if (spec.Summed.Length > 0)
            parts.Add(spec.Summed.Select(a => Second(spec.First[a], spec.First[a])).Aggregate((a, b) => a + b));
        Assert.Equal(d, spec.Dimensions);
        return stack(parts);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Batches_have_all_points_with_zero_targets_in_float64(string name)
    {
        var workload = Find(name);
        using var data = workload.Load(null);
        foreach (var set in (Dataset[])[data.Train, data.Test!, data.Validation!])
        {
            Assert.Equal([workload.BatchSize, workload.Domain.Axes.Count + 1], set.Inputs.shape);
            Assert.Equal(ScalarType.Float64, set.Inputs.dtype);
            Assert.Equal(0, set.Targets.abs().max().ToDouble());
        }
        using var distance = data.Train.Inputs - data.Test!.Inputs;
        Assert.True(distance.abs().max().ToDouble() > 0.01);
    }

    [Fact]
    public void The_loss_is_the_weighted_sum_of_the_conditions_means()
    {
        using var scope = NewDisposeScope();
        var workload = With("heat", ("points", "50"), ("boundary-points", "31"), ("boundary-weight", "7"));
        using var data = workload.Load(null);
        using var model = (PdeModel)workload.CreateModel();
        var terms = data.Train.Inputs.select(1, 2).Elements<double>();
        Assert.Equal([50, 16, 15], terms.GroupBy(t => t).OrderBy(g => g.Key).Select(g => g.Count()));
        double expected = 0;
        for (int c = 0; c < 3; c++)
        {
            var points = data.Train.Inputs.index(data.Train.Inputs.select(1, 2).eq(c)).narrow(1, 0, 2);
            var condition = workload.Conditions[c];
            var r = condition.Residual(model.Solution.At(points, condition.Derivatives), points);
            expected += (c == 0 ? 1 : 7) * r.square().mean().ToDouble() / 2;
        }
        double loss = workload.Likelihood.Loss(model.call(data.Train.Inputs), data.Train.Targets).ToDouble();
        Assert.Equal(expected, loss, tolerance: 1e-12 * expected);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_error_of_a_zero_network_is_that_of_its_ansatz(string name)
    {
        using var scope = NewDisposeScope();
        using var off = no_grad();
        var workload = Find(name);
        using var model = workload.CreateModel();
        foreach (var p in model.parameters())
            p.zero_();
        double error = workload.Metric.OfModel!(model);
        if (name is "monge-ampere" or "burgers")
            Assert.InRange(error, 0.1, 0.9); // ½ |x|² against exp(½ |x|²); the initial values against the solution
        else
            Assert.Equal(1, error, tolerance: 1e-14);
    }

    [Fact]
    public void Settings_choose_network_points_and_weight()
    {
        var workload = With("poisson", ("hidden", "8, 4"), ("points", "100"), ("boundary-points", "20"), ("boundary-weight", "2.5"));
        Assert.Equal(120, workload.BatchSize);
        using var model = workload.CreateModel();
        Assert.Equal(3 * 8 + 9 * 4 + 5, model.parameters().Sum(p => p.numel()));
        Assert.Equal(2.5, workload.Choice.BoundaryWeight);
        Assert.Equal([32], Find("poisson").Choice.Hidden); // the catalog's own is as before
        Assert.Equal("8,4", workload.SettingValues["hidden"]);
    }

    [Theory]
    [InlineData("hidden", "a", "whole numbers from 1 to 2147483647 separated by commas")]
    [InlineData("points", "99999999999", "a whole number from 0 to 2147483647")]
    [InlineData("hidden", "0", ">= 1")]
    [InlineData("points", "0", ">= 1")]
    [InlineData("points", "1.5", "whole number")]
    [InlineData("boundary-points", "-1", ">= 0")]
    [InlineData("boundary-weight", "0", "> 0")]
    [InlineData("boundary-weight", "much", "a number")]
    [InlineData("resample", "-2", ">= 0")]
    public void Wrong_settings_give_the_value_and_what_is_allowed(string name, string value, string allowed)
    {
        string message = Assert.ThrowsAny<ArgumentException>(() => With("poisson", (name, value))).Message;
        Assert.Contains(value, message, StringComparison.Ordinal);
        Assert.Contains(allowed, message, StringComparison.Ordinal);
    }

    [Theory, InlineData("poisson", 0, 1), InlineData("heat", 1, 2)]
    public void Every_condition_on_the_boundary_needs_a_point(string workload, int points, int conditions) =>
        Assert.StartsWith(
            $"The setting boundary-points is {points}; it must be an integer >= {conditions}, because {workload} has {conditions} ",
            Assert.Throws<ArgumentException>(() => With(workload, ("boundary-points", $"{points}"))).Message
        );

    [Fact]
    public void Drawn_points_change_with_their_period_and_the_seed()
    {
        using var data = With("heat", ("resample", "3")).Load(null);
        using Dataset a = data.Draw!(0, 0),
            same = data.Draw(0, 2),
            next = data.Draw(0, 3),
            other = data.Draw(1, 0);
        Assert.True(a.Inputs.equal(same.Inputs).all().ToBoolean());
        Assert.False(a.Inputs.equal(next.Inputs).all().ToBoolean());
        Assert.False(a.Inputs.equal(other.Inputs).all().ToBoolean());
        using var fixedPoints = Find("heat").Load(null);
        Assert.Null(fixedPoints.Draw);
    }

    [Fact]
    public void A_solution_of_another_shape_is_refused()
    {
        using var scope = NewDisposeScope();
        var workload = new Flat();
        using var model = workload.CreateModel();
        string message = Assert.Throws<ArgumentException>(() => workload.Metric.OfModel!(model)).Message;
        Assert.Contains("must be [2001, 1]", message, StringComparison.Ordinal);
    }

    /// <summary>u' = 0 with a solution [n] in place of [n, 1].</summary>
    private sealed class Flat : PdeWorkload
    {
        public override string Name => "flat";
        public override string Equation => "u' = 0";
        public override Box Domain { get; } = Box.Unit(1);
        public override IReadOnlyList<Condition> Conditions => [new("equation", Region.Interior, JetSpec.Gradient(1), (u, _) => u.D(0))];

        public override Tensor Solution(Tensor points) => ones(points.shape[0], dtype: ScalarType.Float64);
    }
}
