using System.Text.RegularExpressions;
using Amari.Jets;
using Amari.LeastSquares;
using Amari.Tests.Architecture;

namespace Amari.Tests.Jets;

/// <summary>The examples of docs/jets.md, as code that runs.</summary>
public sealed partial class JetNetworkPageTests : IDisposable
{
    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Every_line_of_the_page_is_in_this_file()
    {
        string source = Squeezed(File.ReadAllText(Path.Combine(SourceTests.Root, "tests/Amari.Tests/Jets/JetNetworkPageTests.cs")));
        string page = File.ReadAllText(Path.Combine(SourceTests.Root, "docs/jets.md"));
        var lines = Block().Matches(page).SelectMany(m => m.Groups[1].Value.Split('\n')).Select(l => l.Split("//")[0].Trim());
        Assert.All(lines.Where(l => l.Length > 1), l => Assert.Contains(Squeezed(l), source));

        static string Squeezed(string text) => string.Concat(text.Where(c => c != ',' && !char.IsWhiteSpace(c)));
    }

    [Fact]
    public void The_examples_run()
    {
        manual_seed(1);
        Tensor points = rand(5, 2, dtype: float64),
            interior = rand(60, 2, dtype: float64),
            boundary = rand(20, 2, dtype: float64),
            grid = rand(7, 2, dtype: float64);
        boundary.select(1, 0).round_();
        Tensor Source(Tensor x) => 2 * Math.PI * Math.PI * (Math.PI * x).sin().prod(1, keepdim: true);

        JetNetwork solution = new(nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1)).to(float64));
        using (var u = solution.At(points, JetSpec.Laplacian(2)))
        {
            Tensor value = u.Value,
                slope = u.D(0),
                laplacian = u.Laplacian;
            Assert.Equal([5, 1], value.shape);
            Assert.Equal(slope.shape, laplacian.shape);
        }

        PdeModel model = new(
            solution,
            new ResidualTerm("interior", JetSpec.Laplacian(2), (u, x) => u.Laplacian + Source(x)),
            new ResidualTerm("boundary", JetSpec.Value(2), (u, x) => u.Value) { Weight = 10 }
        );
        using var rows = model.Rows(interior, boundary);
        using var zero = zeros(rows.shape[0], 1, float64);
        double start = new SquaredError().Loss(model.call(rows), zero).ToDouble();
        {
            using var optimizer = new Lbfgs(model, new SquaredError());
            for (int i = 0; i < 10; i++)
                optimizer.StepOnBatch(rows, zero);
        }
        using var field = model.Evaluate(grid);
        Assert.Equal([7, 1], field.shape);
        {
            using var optimizer = new Kfac(
                model,
                new()
                {
                    Damping = 1e-4,
                    Step = new QuadraticStep
                    {
                        BatchSize = null,
                        AdaptiveDamping = new() { Interval = 1, Decay = 0.9 },
                    },
                    Curvature = new()
                    {
                        Inverse = new InverseOptions.EigenvalueCorrection(),
                        FactorEma = 0.5,
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
            optimizer.StepOnBatch(rows, zero);
        }
        Assert.InRange(new SquaredError().Loss(model.call(rows), zero).ToDouble(), 0, start / 100);
    }

    [Fact]
    public void Its_ansatz_functions_hold_exactly()
    {
        var network = nn.Sequential(nn.Linear(2, 3), new Cube(), nn.Linear(3, 1)).to(float64);
        JetNetwork u = new(network) { Ansatz = (x, net) => x[0] * (1 - x[0]) * net };
        JetNetwork v = new(network) { Ansatz = (x, net) => 0.5 * (x * x).Sum() + net };
        var edge = tensor(new[] { 0, 0.3, 1, 0.7 }, [2, 2]);
        using (var jet = u.At(edge, JetSpec.Value(2)))
            Assert.Equal([0.0, 0.0], jet.Value.data<double>().ToArray());
        using (var jet = v.At(edge, JetSpec.Laplacian(2)))
        using (var plain = new JetNetwork(network).At(edge, JetSpec.Laplacian(2)))
            Assert.Equal([2.0, 2.0], (jet.Laplacian - plain.Laplacian).data<double>().ToArray().Select(d => Math.Round(d, 12)));
    }

    sealed class Cube() : nn.Module<Tensor, Tensor>("cube"), IJetModule
    {
        public override Tensor forward(Tensor z) => z.pow(3);

        public Jet Push(Jet x) => x.Map(z => (z.pow(3), 3 * z.square(), 6 * z));
    }
}
