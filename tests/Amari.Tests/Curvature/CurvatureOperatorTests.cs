using Amari.Curvature;
using Amari.Solvers;

namespace Amari.Tests.Curvature;

/// <summary>Every curvature operator against its dense matrix, over every case.</summary>
public sealed class CurvatureOperatorTests : IDisposable
{
    private const double Tolerance = 1e-10;
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly int _threads = get_num_threads();

    public CurvatureOperatorTests() => set_num_threads(1); // the problems are small

    public void Dispose()
    {
        set_num_threads(_threads);
        _scope.Dispose();
    }

    private static CurvatureOperator Make(string kind, Objective objective) =>
        kind switch
        {
            "Hessian" => new Hessian(objective),
            "GaussNewton" => new GaussNewton(objective),
            "Exact" => new Fisher(objective),
            "Empirical" => new Fisher(objective, FisherKind.Empirical),
            _ => new Fisher(objective, FisherKind.MonteCarlo, samples: 2, seed: 4),
        };

    private static Tensor Oracle(string kind, CurvatureCases.Case c, IReadOnlyList<Parameter> w) =>
        kind switch
        {
            "Hessian" => DenseCurvature.Hessian(c, w),
            "Empirical" => DenseCurvature.Terms(c, w, (f, y) => DenseCurvature.ScoreSquare(c.Likelihood, f, y)),
            _ => DenseCurvature.Terms(c, w, (f, _) => DenseCurvature.OutputFisher(c.Likelihood, f)),
        };

    private static readonly string[] Kinds = ["Hessian", "GaussNewton", "Exact", "Empirical"];

    [Fact]
    public void Every_kind_of_operator_is_among_them()
    {
        var objective = CurvatureCases.Make("mlp").Objective();
        Assert.Equal(
            typeof(CurvatureOperator)
                .Assembly.GetTypes()
                .Where(t => t.IsSubclassOf(typeof(CurvatureOperator)) && !t.IsAbstract)
                .ToHashSet(),
            Kinds.Select(k => Make(k, objective).GetType()).ToHashSet()
        );
    }

    [Theory, MemberData(nameof(CurvatureCases.Names), MemberType = typeof(CurvatureCases))]
    public void Operator_is_its_dense_matrix(string name)
    {
        var c = CurvatureCases.Make(name);
        c.Model.eval();
        foreach (string kind in Kinds)
        {
            var objective = c.Objective();
            var expected = Oracle(kind, c, [.. objective.Parameters.Parameters.Select(p => p.Parameter)]);
            var op = Make(kind, objective);
            Assert.True(DenseCurvature.RelativeError(op.ToDense(), expected) < Tolerance, $"{kind} of {name}");
            var v = randn(op.Dimension, 3, dtype: ScalarType.Float64);
            var block = op.Apply(v);
            Assert.Equal(v.shape, block.shape);
            Assert.True(DenseCurvature.RelativeError(block, expected.mm(v)) < Tolerance, $"{kind} of {name}, three columns");
            Assert.True(
                DenseCurvature.RelativeError(op.Apply(v.select(1, 1)), expected.mv(v.select(1, 1))) < Tolerance,
                $"{kind} of {name}, a strided vector"
            );
        }
    }

    [Theory, MemberData(nameof(CurvatureCases.Names), MemberType = typeof(CurvatureCases))]
    public void Block_diagonal_has_the_blocks_of_the_whole_and_zeros_between(string name)
    {
        var c = CurvatureCases.Make(name);
        foreach (string kind in (string[])[.. Kinds, "MonteCarlo"])
        {
            var objective = c.Objective();
            var layers = objective
                .Parameters.Parameters.SelectMany(p =>
                    Enumerable.Repeat(
                        p.Name.Contains('.', StringComparison.Ordinal) ? p.Name[..p.Name.LastIndexOf('.')] : "",
                        (int)p.Parameter.numel()
                    )
                )
                .ToArray();
            var mask = tensor(layers.SelectMany(a => layers.Select(b => a == b ? 1.0 : 0.0)).ToArray(), [layers.Length, layers.Length]);
            var op = Make(kind, objective);
            var whole = op.ToDense();
            var blocks = new BlockDiagonal(op);
            Assert.True(DenseCurvature.RelativeError(blocks.ToDense(), whole * mask) < Tolerance, $"{kind} of {name}");
            Assert.Equal(layers.Distinct(), blocks.Blocks.Select(b => b.Name));
        }
    }

    [Fact]
    public void Tied_weights_are_one_parameter() =>
        Assert.Equal(
            ["first.weight", "first.bias", "second.bias"],
            CurvatureCases.Make("tied weights").Objective().Parameters.Parameters.Select(p => p.Name)
        );

    [Fact]
    public void Blocks_are_of_the_users_choice()
    {
        var objective = CurvatureCases.Make("mlp").Objective();
        var hessian = new Hessian(objective);
        var each = new BlockDiagonal(hessian, name => name);
        Assert.Equal(["a.weight", "a.bias", "b.weight", "b.bias"], each.Blocks.Select(b => b.Name));
        Assert.Equal(0, each.ToDense().narrow(0, 0, 20).narrow(1, 20, 5).abs().sum().ToDouble());
        Assert.True(DenseCurvature.RelativeError(new BlockDiagonal(hessian, _ => "all").ToDense(), hessian.ToDense()) < Tolerance);
    }

    [Theory, InlineData("mlp"), InlineData("convolutions"), InlineData("weight sharing")]
    public void Chosen_parameters_give_the_principal_submatrix(string name)
    {
        var c = CurvatureCases.Make(name);
        bool Chosen(string parameter) => parameter.EndsWith("weight", StringComparison.Ordinal);
        foreach (string kind in (string[])[.. Kinds, "MonteCarlo"])
        {
            var all = c.Objective();
            var some = c.Objective(Chosen);
            Assert.All(some.Parameters.Parameters, p => Assert.True(Chosen(p.Name)));
            var rows = tensor(
                all.Parameters.Parameters.SelectMany(
                        (p, i) =>
                            Chosen(p.Name) ? Enumerable.Range(0, (int)p.Parameter.numel()).Select(k => all.Parameters.Offset(i) + k) : []
                    )
                    .ToArray()
            );
            var expected = Make(kind, all).ToDense().index_select(0, rows).index_select(1, rows);
            Assert.True(DenseCurvature.RelativeError(Make(kind, some).ToDense(), expected) < Tolerance, kind);
        }
    }

    [Fact]
    public void Monte_Carlo_Fisher_is_within_three_standard_errors_of_the_exact()
    {
        var objective = CurvatureCases.Make("mlp").Objective();
        var v = randn(objective.Parameters.Dimension, dtype: ScalarType.Float64);
        double exact = v.dot(new Fisher(objective).Apply(v)).ToDouble();
        double[] draws =
        [
            .. Enumerable.Range(0, 200).Select(seed => v.dot(new Fisher(objective, FisherKind.MonteCarlo, seed: seed).Apply(v)).ToDouble()),
        ];
        double mean = draws.Average(),
            deviation = Math.Sqrt(draws.Average(x => (x - mean) * (x - mean)));
        Assert.InRange(mean - exact, -3 * deviation / Math.Sqrt(200), 3 * deviation / Math.Sqrt(200));
        double[] many =
        [
            .. Enumerable
                .Range(0, 50)
                .Select(seed => v.dot(new Fisher(objective, FisherKind.MonteCarlo, samples: 16, seed: seed).Apply(v)).ToDouble()),
        ];
        Assert.InRange(Math.Sqrt(many.Average(x => (x - exact) * (x - exact))), deviation / 8, deviation / 2); // a quarter, to sampling
    }

    [Fact]
    public void Batches_of_a_Monte_Carlo_Fisher_have_draws_of_their_own()
    {
        var c = CurvatureCases.Make("mlp");
        var twice = c with { Batches = [c.Batches[0], c.Batches[0]] };
        var once = c with { Batches = [c.Batches[0]] };
        Assert.False(
            new Fisher(twice.Objective(), FisherKind.MonteCarlo)
                .ToDense()
                .allclose(new Fisher(once.Objective(), FisherKind.MonteCarlo).ToDense())
        );
    }

    [Fact]
    public void Sums_scalings_and_damping_are_those_of_matrices()
    {
        var c = CurvatureCases.Make("mlp");
        LinearOperator h = new Hessian(c.Objective()),
            g = new GaussNewton(c.Objective());
        var expected = 2 * h.ToDense() + 3 * g.ToDense() + 0.5 * eye(h.Dimension, dtype: ScalarType.Float64);
        Assert.True(DenseCurvature.RelativeError((2 * h + 3 * g).Damped(0.5).ToDense(), expected) < Tolerance);
    }

    [Fact]
    public void Function_of_its_parameters_has_a_Hessian()
    {
        var w = nn.Parameter(tensor(new[] { 1.0, 2, 3 }));
        var objective = new Objective(() => w[0] * w[1] * w[2] + w[0].pow(3), new ParameterLayout([("w", w)]));
        var expected = tensor(
            new[,]
            {
                { 6.0, 3, 2 },
                { 3, 0, 1 },
                { 2, 1, 0 },
            }
        );
        Assert.True(new Hessian(objective).ToDense().allclose(expected));
        Assert.Contains("no output", Assert.Throws<ArgumentException>(() => new GaussNewton(objective)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Float32_agrees_with_float64()
    {
        var c = CurvatureCases.Make("convolutions");
        foreach (string kind in Kinds)
        {
            var expected = Make(kind, c.Objective()).ToDense();
            var single = new CurvatureCases.Case(
                c.Model.to(ScalarType.Float32),
                c.Likelihood,
                [.. c.Batches.Select(b => (b.X.to(ScalarType.Float32), b.Y))]
            );
            var op = Make(kind, single.Objective());
            Assert.Equal(ScalarType.Float32, op.Type);
            Assert.True(DenseCurvature.RelativeError(op.ToDense().to(ScalarType.Float64), expected) < 1e-4, kind);
            c.Model.to(ScalarType.Float64);
        }
    }
}
