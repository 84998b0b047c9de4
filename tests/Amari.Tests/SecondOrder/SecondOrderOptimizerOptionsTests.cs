using System.Reflection;
using Amari.Curvature;
using Amari.Ranks;
using Amari.Solvers;

namespace Amari.Tests.SecondOrder;

/// <summary>The options of every second-order optimizer: their ranges, and that each has an effect.</summary>
public sealed class SecondOrderOptimizerOptionsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static double[] Run<TOptimizer>(TOptimizer optimizer, nn.Module model, double? clip = null)
        where TOptimizer : SecondOrderOptimizer
    {
        using (optimizer)
        {
            optimizer.MaxGradientNorm = clip;
            for (int i = 0; i < 4; i++)
                SecondOrderCases.StepOnBatch(optimizer, i);
        }
        return SecondOrderCases.Values(model);
    }

    private static readonly HashSet<Type> Changed = [];

    private static void EachOptionChanges<T>(
        Func<nn.Module<Tensor, Tensor>, T, SecondOrderOptimizer> make,
        string[] without,
        params T[] options
    )
        where T : OptimizerOptions
    {
        // Newton-CG on a convex problem: elsewhere every step ends on the boundary, whatever the tolerance
        nn.Module<Tensor, Tensor> Model() => typeof(T) == typeof(NewtonCg.Options) ? SecondOrderCases.Convex() : SecondOrderCases.Model();
        var runs = options
            .Select(o =>
            {
                var m = Model();
                return Run(make(m, o), m);
            })
            .ToList();
        var model = Model();
        if (typeof(T) == typeof(Lbfgs.Options))
            Assert.Contains(
                "cannot clip",
                Assert.Throws<InvalidOperationException>(() => Run(make(model, options[0]), model, clip: 0.01)).Message,
                StringComparison.Ordinal
            );
        else
            runs.Add(Run(make(model, options[0]), model, clip: 0.01));
        for (int i = 0; i < runs.Count; i++)
        for (int k = 0; k < i; k++)
            Assert.True(!runs[k].SequenceEqual(runs[i]), $"{typeof(T).DeclaringType!.Name}: {k} and {i} agree");
        Changed.Add(typeof(T).DeclaringType!);
        // every option has a row of its own, but for those that choose no other numbers
        Assert.Equal(typeof(T).GetProperties().Count(p => p.CanWrite) - without.Length + 1, options.Length);
    }

    [Fact]
    public void Each_option_changes_the_trajectory()
    {
        string[] memory = [nameof(Newton.Options.MaxDenseBytes)];
        var categorical = new Categorical();
        EachOptionChanges<Newton.Options>(
            (m, o) => new Newton(m, categorical, o),
            memory,
            new() { Damping = 0.3, LearningRate = 4 },
            new() { Damping = 0.2, LearningRate = 4 },
            new() { Damping = 0.3, LearningRate = 0.5 },
            new()
            {
                Damping = 0.3,
                LearningRate = 4,
                StepRejection = true,
            }
        );
        EachOptionChanges<SaddleFreeNewton.Options>(
            (m, o) => new SaddleFreeNewton(m, categorical, o),
            memory,
            new() { Damping = 0.3, LearningRate = 4 },
            new() { Damping = 0.2, LearningRate = 4 },
            new() { Damping = 0.3, LearningRate = 0.5 },
            new()
            {
                Damping = 0.3,
                LearningRate = 4,
                StepRejection = false,
            }
        );
        EachOptionChanges<NewtonCg.Options>(
            (m, o) => new NewtonCg(m, categorical, o),
            [],
            new() { Radius = 20 },
            new() { Radius = 20, LearningRate = 0.5 },
            new() { Radius = 1 },
            new() { Radius = 20, MaxRadius = 0.5 },
            new() { Radius = 20, AcceptanceRatio = 0.99 },
            new() { Radius = 20, MaxIterations = 1 },
            new() { Radius = 20, Tolerance = 1e-3 }
        );
        HessianFree.Options free = new() { Damping = 0.02 };
        EachOptionChanges(
            (m, o) => new HessianFree(m, categorical, o),
            [],
            free,
            free with
            {
                LearningRate = 0.5,
            },
            free with
            {
                Damping = 0.1,
            },
            free with
            {
                DampingFactor = 2,
            },
            free with
            {
                MaxIterations = 2,
            },
            free with
            {
                ProgressTolerance = 0.05,
            },
            free with
            {
                WarmStart = 0,
            },
            free with
            {
                CgBacktracking = false,
            },
            free with
            {
                Preconditioner = HessianFreePreconditioner.Kfac,
            },
            free with
            {
                PreconditionerExponent = 0.5,
            },
            free with
            {
                PreconditionerSamples = 2,
            },
            free with
            {
                Seed = 7,
            }
        );
        NaturalGradient.Options natural = new()
        {
            Damping = 0.1,
            LearningRate = 4,
            Fisher = FisherKind.MonteCarlo,
            Solver = new LinearSolver.ConjugateGradient(),
        };
        EachOptionChanges(
            (m, o) => new NaturalGradient(m, categorical, o),
            [],
            natural,
            natural with
            {
                LearningRate = 0.5,
            },
            natural with
            {
                Damping = 0.2,
            },
            natural with
            {
                AdaptiveDamping = new() { Decay = 0.5, Interval = 1 },
            },
            natural with
            {
                LineSearch = LineSearch.StrongWolfe,
                LearningRate = 20,
            },
            natural with
            {
                StepRejection = false,
            },
            natural with
            {
                Fisher = FisherKind.Exact,
            },
            natural with
            {
                MonteCarloSamples = 2,
            },
            natural with
            {
                Solver = new LinearSolver.Gram(),
            },
            natural with
            {
                KlRadius = 1e-3,
            },
            natural with
            {
                Seed = 7,
            }
        );
        Lbfgs.Options lbfgs = new() { Iterations = 6, LearningRate = 3 };
        EachOptionChanges(
            (m, o) => new Lbfgs(m, categorical, o),
            [nameof(Lbfgs.Options.StepRejection)], // needs a rising step: LbfgsTests
            lbfgs,
            lbfgs with
            {
                LearningRate = 1,
            },
            lbfgs with
            {
                Iterations = 5,
            },
            lbfgs with
            {
                History = 1,
            },
            lbfgs with
            {
                GradientTolerance = 0.1,
            },
            lbfgs with
            {
                LineSearch = LineSearch.None,
            },
            lbfgs with
            {
                SufficientDecrease = 0.6,
            },
            lbfgs with
            {
                SlopeTolerance = 0.01,
            },
            lbfgs with
            {
                MaxEvaluations = 1,
            }
        );
        var squares = new LabelSquares();
        LevenbergMarquardt.Options damped = new()
        {
            InitialDamping = 1e-6,
            Solver = new LinearSolver.ConjugateGradient { Tolerance = 0.01 },
        };
        EachOptionChanges(
            (m, o) => new LevenbergMarquardt(m, squares, o),
            [],
            damped,
            damped with
            {
                LearningRate = 0.5,
            },
            damped with
            {
                InitialDamping = 0.1,
            },
            damped with
            {
                Scaling = LeastSquaresScaling.None,
            },
            damped with
            {
                MaxAcceleration = null,
            },
            damped with
            {
                MaxTrials = 1,
            },
            damped with
            {
                Solver = new LinearSolver.Normal(),
            }
        );
        DampedGaussNewton.Options fixedDamping = new()
        {
            Damping = 0.01,
            Solver = new LinearSolver.ConjugateGradient { Tolerance = 0.01 },
        };
        EachOptionChanges(
            (m, o) => new DampedGaussNewton(m, squares, o),
            [],
            fixedDamping,
            fixedDamping with
            {
                LearningRate = 0.5,
            },
            fixedDamping with
            {
                Damping = 0.1,
            },
            fixedDamping with
            {
                Search = StepSearch.Grid,
            },
            fixedDamping with
            {
                Momentum = 0.5,
            },
            fixedDamping with
            {
                Solver = new LinearSolver.Normal(),
            }
        );
        Assert.Equal(SecondOrderCases.Methods.ToHashSet(), Changed);
    }

    public static TheoryData<Type, string, object> BadOptions =>
        new()
        {
            { typeof(Newton.Options), "Damping", -1.0 },
            { typeof(Newton.Options), "LearningRate", double.NaN },
            { typeof(Newton.Options), "MaxDenseBytes", 0L },
            { typeof(SaddleFreeNewton.Options), "Damping", double.NaN },
            { typeof(SaddleFreeNewton.Options), "MaxDenseBytes", -1L },
            { typeof(NewtonCg.Options), "Radius", 0.0 },
            { typeof(NewtonCg.Options), "MaxRadius", -1.0 },
            { typeof(NewtonCg.Options), "AcceptanceRatio", 1.0 },
            { typeof(NewtonCg.Options), "MaxIterations", 0 },
            { typeof(NewtonCg.Options), "Tolerance", 0.0 },
            { typeof(HessianFree.Options), "Damping", 0.0 },
            { typeof(HessianFree.Options), "DampingFactor", 0.5 },
            { typeof(HessianFree.Options), "MaxIterations", 0 },
            { typeof(HessianFree.Options), "ProgressTolerance", 0.0 },
            { typeof(HessianFree.Options), "WarmStart", 1.0 },
            { typeof(HessianFree.Options), "PreconditionerExponent", -1.0 },
            { typeof(HessianFree.Options), "PreconditionerSamples", 0 },
            { typeof(HessianFree.Options), "Preconditioner", (HessianFreePreconditioner)9 },
            { typeof(NaturalGradient.Options), "Damping", 0.0 },
            { typeof(NaturalGradient.Options), "LineSearch", (LineSearch)9 },
            { typeof(NaturalGradient.Options), "Fisher", (FisherKind)9 },
            { typeof(NaturalGradient.Options), "MonteCarloSamples", 0 },
            { typeof(NaturalGradient.Options), "KlRadius", 0.0 },
            { typeof(LevenbergMarquardt.Options), "InitialDamping", 0.0 },
            { typeof(LevenbergMarquardt.Options), "Scaling", (LeastSquaresScaling)9 },
            { typeof(LevenbergMarquardt.Options), "MaxAcceleration", 0.0 },
            { typeof(LevenbergMarquardt.Options), "MaxTrials", 0 },
            { typeof(DampedGaussNewton.Options), "Damping", 0.0 },
            { typeof(DampedGaussNewton.Options), "Search", (StepSearch)9 },
            { typeof(DampedGaussNewton.Options), "Momentum", 1.0 },
            { typeof(Lbfgs.Options), "Iterations", 0 },
            { typeof(Lbfgs.Options), "History", 0 },
            { typeof(Lbfgs.Options), "GradientTolerance", 0.0 },
            { typeof(Lbfgs.Options), "LineSearch", (LineSearch)9 },
            { typeof(Lbfgs.Options), "SufficientDecrease", 0.0 },
            { typeof(Lbfgs.Options), "SlopeTolerance", 1.0 },
            { typeof(Lbfgs.Options), "MaxEvaluations", 0 },
        };

    [Theory, MemberData(nameof(BadOptions), DisableDiscoveryEnumeration = true)]
    public void Bad_options_are_refused_with_the_value_and_range(Type options, string option, object value)
    {
        var error = Assert
            .Throws<TargetInvocationException>(() => options.GetProperty(option)!.SetValue(Activator.CreateInstance(options), value))
            .InnerException!;
        Assert.Contains(FormattableString.Invariant($"{option} is {value}; it must be"), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_option_with_a_range_has_a_bad_value()
    {
        var tried = BadOptions.Select(row => (row.Data.Item1, row.Data.Item2)).ToHashSet();
        Assert.Empty(
            from method in SecondOrderCases.Methods
            let options = method.GetNestedType("Options")!
            from option in options.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
            where option is { CanWrite: true, Name: not ("Seed" or "AdaptiveDamping" or "Solver") } && option.PropertyType != typeof(bool)
            where !tried.Contains((options, option.Name))
            select $"{method.Name}.{option.Name}"
        );
    }
}
