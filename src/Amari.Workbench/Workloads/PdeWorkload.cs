using Amari.Curvature;
using Amari.Jets;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Optimizers;

namespace Amari.Workloads;

/// <summary>A differential equation that a network solves by least squares (a physics-informed network), judged by its error against a
/// known solution. Derive from it, with a parameterless constructor, for an equation of your own: its name, its domain, its conditions and
/// its solution are enough.</summary>
/// <remarks>The loss is ½ Σ_c w_c mean(r_c²) over the conditions c, with r_c the residual at the condition's points. w_c is 1 in the
/// interior and <see cref="PdeSettings.BoundaryWeight"/> elsewhere. All is float64, and a batch has all points. Held-out points are as
/// many others; their loss shows whether the network satisfies the equation between its training points. With two or more axes, runs record
/// the error over the plane of the first two for figures.</remarks>
public abstract class PdeWorkload : Workload
{
    private const int GridPoints = 101, // per axis, of the error in two dimensions
        LinePoints = 2001, // in one
        ManyPoints = 10_000; // of the error in three and more dimensions
    private const long TrainSeed = 0,
        TestSeed = 1,
        ValidationSeed = 2,
        ErrorSeed = 3;

    private readonly Lazy<(Tensor Points, Tensor Solution)> _grid;
    private PdeSettings? _settings;

    /// <summary>Creates the workload with its default settings.</summary>
    protected PdeWorkload() => _grid = new(Grid);

    /// <summary>The equation with its conditions, in one line.</summary>
    public abstract string Equation { get; }

    /// <summary>Where it holds.</summary>
    public abstract Box Domain { get; }

    /// <summary>The equation in the interior, and the boundary and initial conditions. At least one.</summary>
    public abstract IReadOnlyList<Condition> Conditions { get; }

    /// <summary>The exact or a reference solution: [n, axes] → [n, 1], float64; the caller owns it. It is used to judge, not to
    /// train.</summary>
    public abstract Tensor Solution(Tensor points);

    /// <summary>u composed of the points and the network (<see cref="JetNetwork.Ansatz"/>), to choose one of several solutions or to
    /// satisfy a condition exactly; null for the network alone.</summary>
    protected virtual Func<Jet, Jet, Jet>? Ansatz => null;

    /// <summary>The settings without <c>--set</c>.</summary>
    protected virtual PdeSettings Defaults => new();

    /// <summary>The settings.</summary>
    public PdeSettings Choice => _settings ??= Defaults;

    /// <inheritdoc/>
    /// <remarks>Without boundary conditions those about boundaries are missing.</remarks>
    public override IReadOnlyDictionary<string, string> SettingValues => Choice.Values(boundary: HasBoundary);

    /// <inheritdoc/>
    protected override Workload Configure(IReadOnlyDictionary<string, string> values)
    {
        var copy = (PdeWorkload)MemberwiseClone();
        copy._settings = Choice.With(values);
        copy.RequirePoints();
        var choice = copy.Choice;
        NetworkMemory.Require(
            string.Join(
                ", ",
                from name in (string[])[PdeSettings.HiddenName, PdeSettings.PointsName, PdeSettings.BoundaryPointsName]
                where values.ContainsKey(name)
                select $"{name}={values[name]}"
            ),
            copy.Sizes,
            (double)choice.Points + choice.BoundaryPoints,
            ScalarType.Float64
        );
        return copy;
    }

    /// <inheritdoc/>
    public override string Description
    {
        get
        {
            int[] sizes = Sizes;
            long parameters = sizes.Zip(sizes.Skip(1), (from, to) => (from + 1L) * to).Sum();
            string points = HasBoundary
                ? $"{Choice.Points} interior and {Choice.BoundaryPoints} boundary points"
                : $"{Choice.Points} points";
            string fresh = Choice.Resample switch
            {
                0 => "",
                1 => ", new ones for each step",
                var steps => $", new ones every {steps} steps",
            };
            return FormattableString.Invariant(
                $"{Equation}; {points}{fresh}, float64, network {string.Join('-', sizes)} (tanh), {parameters:N0} parameters"
            );
        }
    }

    /// <inheritdoc/>
    public override int BatchSize => Counts.Sum();

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new SquaredError();

    /// <inheritdoc/>
    public override Metric Metric => new("relative L2 error", false, Error);

    /// <summary>The error that defines the time to target.</summary>
    protected virtual double TargetError => 1e-3;

    /// <inheritdoc/>
    public override Target Target => new(Metric.Name, TargetError);

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(10);

    /// <inheritdoc/>
    /// <remarks>Levenberg-Marquardt without a scaling where there are several hidden layers: chosen on <c>poisson</c>, where it ends lower
    /// with two hidden layers, and higher with one.</remarks>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings =>
        Choice.Hidden.Count < 2
            ? base.Settings
            : new Dictionary<string, IReadOnlyDictionary<string, string>>
            {
                ["levenberg-marquardt"] = new Dictionary<string, string> { ["Scaling"] = "None" },
            };

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory)
    {
        RequirePoints();
        _ = _grid.Value; // a reference solution takes time, which no evaluation should
        return new(Examples(TrainSeed), Examples(TestSeed))
        {
            Validation = Examples(ValidationSeed),
            Draw = Choice.Resample is > 0 and var steps ? (seed, step) => Examples(HashSeed.Of(seed, step / steps)) : null,
        };
    }

    /// <summary>A new network [n, axes] → [n, 1] of layers that <see cref="JetNetwork"/> differentiates, float64; the caller disposes it.
    /// By default a multi-layer perceptron with the hidden layers of the settings and tanh.</summary>
    protected virtual nn.Module<Tensor, Tensor> CreateNetwork()
    {
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
        int[] sizes = Sizes;
        for (int i = 1; i < sizes.Length; i++)
        {
            layers.Add(($"fc{i}", nn.Linear(sizes[i - 1], sizes[i], dtype: ScalarType.Float64)));
            if (i < sizes.Length - 1)
                layers.Add(($"tanh{i}", nn.Tanh()));
        }
        return nn.Sequential(layers);
    }

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel()
    {
        int[] counts = Counts;
        double all = counts.Sum();
        return new PdeModel(
            new(CreateNetwork()) { Ansatz = Ansatz },
            [
                .. Conditions.Zip(
                    counts,
                    (c, count) => new ResidualTerm(c.Name, c.Derivatives, c.Residual) { Weight = WeightOf(c) * all / Math.Max(1, count) }
                ),
            ]
        );
    }

    /// <summary>The points of figures: a grid over the first two axes, with the others at the middle, the second axis fastest:
    /// [count², axes]. The caller owns it.</summary>
    internal Tensor Slice(int count)
    {
        using var scope = NewDisposeScope();
        var plane = new Box([.. Domain.Axes.Take(2)]).Grid(count);
        return cat([plane, .. Domain.Axes.Skip(2).Select(a => plane.new_full([plane.shape[0], 1], a.At(0.5)))], 1)
            .MoveToOuterDisposeScope();
    }

    private double Error(nn.Module<Tensor, Tensor> model)
    {
        using var scope = NewDisposeScope();
        var (points, solution) = _grid.Value;
        return ((((PdeModel)model).Evaluate(points) - solution).norm() / solution.norm()).ToDouble();
    }

    private (Tensor Points, Tensor Solution) Grid()
    {
        var points = Domain.Axes.Count switch
        {
            1 => Domain.Grid(LinePoints),
            2 => Domain.Grid(GridPoints),
            _ => Domain.Points(Region.Interior, ManyPoints, ErrorSeed),
        };
        return (points.DetachFromDisposeScope(), SolutionAt(points).DetachFromDisposeScope());
    }

    /// <summary>The solution at points [n, axes]: [n, 1]; the caller owns it.</summary>
    /// <exception cref="ArgumentException">The workload's solution has another shape.</exception>
    internal Tensor SolutionAt(Tensor points)
    {
        var solution = Solution(points);
        return solution.dim() == 2 && solution.shape[0] == points.shape[0] && solution.shape[1] == 1
            ? solution
            : throw new ArgumentException(
                $"The solution of {Name} is [{string.Join(", ", solution.shape)}] at {points.shape[0]} points; it must be "
                    + $"[{points.shape[0]}, 1]."
            );
    }

    /// <summary>Rows of points, the number of their condition in the last column, with targets 0.</summary>
    private Dataset Examples(long seed)
    {
        using var scope = NewDisposeScope();
        var rows = Conditions
            .Zip(Counts)
            .Select((c, i) => (Condition: c.First, Count: c.Second, Index: i))
            .Where(c => c.Count > 0)
            .Select(c =>
            {
                var points = Domain.Points(c.Condition.Where, c.Count, HashSeed.Of(seed, c.Index));
                points = c.Condition.Placement?.Invoke(points) ?? points;
                return cat([points, points.new_full([c.Count, 1], c.Index)], 1);
            });
        var inputs = cat([.. rows]);
        return new(inputs.MoveToOuterDisposeScope(), inputs.new_zeros(inputs.shape[0], 1).MoveToOuterDisposeScope());
    }

    /// <summary>Every condition has a point: without, training would ignore it.</summary>
    private void RequirePoints()
    {
        int inside = Conditions.Count(c => c.Where.IsInterior),
            outside = Conditions.Count - inside;
        Require(PdeSettings.PointsName, Choice.Points, inside, "in the interior");
        Require(PdeSettings.BoundaryPointsName, Choice.BoundaryPoints, outside, "on the boundary");

        void Require(string setting, int points, int conditions, string where)
        {
            if (points < conditions)
                throw new ArgumentException(
                    $"The setting {setting} is {points}; it must be an integer >= {conditions}, because {Name} has {conditions} "
                        + $"condition{(conditions == 1 ? "" : "s")} {where}."
                );
        }
    }

    private bool HasBoundary => Conditions.Any(c => !c.Where.IsInterior);

    private int[] Sizes => [Domain.Axes.Count, .. Choice.Hidden, 1];

    private double WeightOf(Condition condition) => condition.Where.IsInterior ? 1 : Choice.BoundaryWeight;

    /// <summary>Points of each condition: those of the interior and the others share equally.</summary>
    private int[] Counts
    {
        get
        {
            int inside = Conditions.Count(c => c.Where.IsInterior),
                outside = Conditions.Count - inside,
                i = 0,
                o = 0;
            return
            [
                .. Conditions.Select(c =>
                    c.Where.IsInterior ? Share(Choice.Points, inside, i++) : Share(Choice.BoundaryPoints, outside, o++)
                ),
            ];

            static int Share(int all, int parts, int part) => all / parts + (part < all % parts ? 1 : 0);
        }
    }
}
