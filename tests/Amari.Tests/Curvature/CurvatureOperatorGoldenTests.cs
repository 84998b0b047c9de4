using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Distributed;
using Amari.Solvers;

namespace Amari.Tests.Curvature;

/// <summary>Dense matrices and factors of an independent implementation: see Fixtures/curvature/README.md.</summary>
public sealed class CurvatureOperatorGoldenTests : IDisposable
{
    private const double Tolerance = 1e-10;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string> Names => ["mlp_ce_mean", "mlp_mse_sum", "cnn_ce_mean", "seqpool_mse_mean"];

    private sealed class Pooled : nn.Module<Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, 5),
            b = nn.Linear(5, 3);

        public Pooled()
            : base("pooled") => RegisterComponents();

        public override Tensor forward(Tensor x) => b.call(a.call(x).tanh()).mean([1]);
    }

    internal static (JsonNode Trace, Objective Objective) Load(string name, [CallerFilePath] string here = "")
    {
        using var stream = new GZipStream(
            File.OpenRead(Path.Combine(Path.GetDirectoryName(here)!, "..", "Fixtures", "curvature", $"curv_{name}.json.gz")),
            CompressionMode.Decompress
        );
        var trace = JsonNode.Parse(stream)!;
        nn.Module<Tensor, Tensor> model = name[..3] switch
        {
            "mlp" => nn.Sequential(("0", nn.Linear(5, 7)), ("t", nn.Tanh()), ("1", nn.Linear(7, 4))),
            "cnn" => nn.Sequential(
                ("c1", nn.Conv2d(2, 3, 3, padding: 1)),
                ("t1", nn.Tanh()),
                ("c2", nn.Conv2d(3, 4, 3, stride: 2)),
                ("t2", nn.Tanh()),
                ("f", nn.Flatten()),
                ("l", nn.Linear(16, 3))
            ),
            _ => new Pooled(),
        };
        model = model.to(ScalarType.Float64);
        var names = trace["param_order"]!.AsArray().Select(n => (string)n!);
        using (no_grad())
            foreach (var (p, source) in model.parameters().Zip(names))
                p.copy_(Read(trace["params"]![source]));
        bool classes = (string)trace["loss"]! == "ce",
            sum = (string)trace["reduction"]! == "sum";
        var (x, y) = (Read(trace["X"]), Read(trace["Y"]));
        Likelihood likelihood = classes ? new Categorical() : new Gaussian(sum ? 0.5 : y.shape[1] / 2.0);
        if (classes)
            y = y.to(ScalarType.Int64);
        // split in two, so that sums over batches are held too
        (Tensor, Tensor)[] batches =
        [
            (x.narrow(0, 0, 3), y.narrow(0, 0, 3)),
            (x.narrow(0, 3, x.shape[0] - 3), y.narrow(0, 3, x.shape[0] - 3)),
        ];
        return (trace, new(model, likelihood, batches, reduction: sum ? LossReduction.Sum : LossReduction.Mean));
    }

    internal static Tensor Read(JsonNode? node) =>
        tensor(node!["data"]!.AsArray().Select(v => (double)v!).ToArray(), [.. node["shape"]!.AsArray().Select(v => (long)v!)]);

    /// <summary>What the reference's empirical Fisher is of ours.</summary>
    private static double EmpiricalScale(string name, JsonNode trace) =>
        name.EndsWith("mse_mean", StringComparison.Ordinal) ? (double)trace["Y"]!["shape"]![1]! : 1;

    [Theory, MemberData(nameof(Names))]
    public void Matrices_and_products_agree(string name)
    {
        var (trace, objective) = Load(name);
        var gradient = cat([.. trace["param_order"]!.AsArray().Select(n => Read(trace["grad"]![(string)n!]).flatten())]);
        Assert.True(DenseCurvature.RelativeError(objective.Gradient().Gradient, gradient) < Tolerance);
        var v = Read(trace["v"]);
        Hold(new Hessian(objective), "hessian", 1);
        Hold(new GaussNewton(objective), "ggn", 1);
        Hold(new Fisher(objective), "ggn", 1);
        Hold(new Fisher(objective, FisherKind.Empirical), "empirical_fisher", EmpiricalScale(name, trace));

        void Hold(LinearOperator op, string key, double scale)
        {
            Assert.True(DenseCurvature.RelativeError(scale * op.ToDense(), Read(trace[key])) < Tolerance, key);
            Assert.True(DenseCurvature.RelativeError(scale * op.Apply(v), Read(trace[key + "_v"])) < Tolerance, key);
            Assert.Equal((double)trace[key + "_trace"]!, scale * op.ToDense().trace().ToDouble(), 1e-8);
        }
    }

    [Theory, MemberData(nameof(Names))]
    public void Kronecker_factors_and_products_agree(string name)
    {
        var (trace, objective) = Load(name);
        foreach (
            var golden in trace["kfac"]!
                .AsArray()
                .Where(k => (string)k!["kfac_approx"]! == "expand" && !(bool)k["separate_weight_and_bias"]!)
        )
        {
            var (type, kind) = ((string)golden!["fisher_type"]!, KindOf(golden));
            double scale = kind == FisherKind.Empirical ? EmpiricalScale(name, trace) : 1;
            using var factored = new KroneckerFactored(objective, kind);
            Assert.All(factored.Coverage.Rows, r => Assert.StartsWith("K-FAC", r.Block, StringComparison.Ordinal));
            foreach (var (block, (layer, a, g)) in golden["blocks"]!.AsArray().Zip(factored.Factors))
            {
                Assert.True(DenseCurvature.RelativeError(a, Read(block!["A"])) < Tolerance, $"A of {layer}, {type}");
                Assert.True(DenseCurvature.RelativeError(scale * g, Read(block["B"])) < Tolerance, $"G of {layer}, {type}");
            }
            Assert.True(DenseCurvature.RelativeError(scale * factored.Apply(Read(trace["v"])), Read(golden["matvec"])) < Tolerance, type);
        }
    }

    private static FisherKind KindOf(JsonNode golden) =>
        (string)golden["fisher_type"]! switch
        {
            "type-2" => FisherKind.Exact,
            "empirical" => FisherKind.Empirical,
            "forward-only" => FisherKind.ForwardOnly,
            var other => throw new InvalidDataException(other),
        };

    /// <summary>Where the reference has blocks for biases by themselves, ours are of the weights alone; the reference's of a bias is the
    /// layer's G.</summary>
    [Theory, MemberData(nameof(Names))]
    public void Blocks_of_weights_alone_agree(string name)
    {
        var (trace, all) = Load(name);
        Objective objective = new(
            all.Model!,
            all.Likelihood!,
            all.Batches,
            ParameterLayout.Of(all.Model!, n => n.EndsWith("weight", StringComparison.Ordinal)),
            all.Reduction
        );
        var places = cat([
            .. all.Parameters.Parameters.Select(
                (p, i) => full(p.Parameter.numel(), p.Name.EndsWith("weight", StringComparison.Ordinal), dtype: ScalarType.Bool)
            ),
        ]);
        Tensor Weights(JsonNode? vector) => Read(vector).masked_select(places);
        var v = Weights(trace["v"]);
        int held = 0;
        foreach (var golden in trace["kfac"]!.AsArray().Where(k => (bool)k!["separate_weight_and_bias"]!))
        {
            var (kind, sharing) = (KindOf(golden!), Sharings[(string)golden!["kfac_approx"]!]);
            double scale = kind == FisherKind.Empirical ? EmpiricalScale(name, trace) : 1;
            using var factored = new KroneckerFactored(objective, kind, sharing: sharing);
            foreach (var (blocks, (layer, a, g)) in golden["blocks"]!.AsArray().Chunk(2).Zip(factored.Factors))
            {
                Assert.True(DenseCurvature.RelativeError(a, Read(blocks[0]!["A"])) < Tolerance, $"A of {layer}, {kind}, {sharing}");
                Assert.All(
                    blocks,
                    b => Assert.True(DenseCurvature.RelativeError(scale * g, Read(b!["B"])) < Tolerance, $"G of {layer}, {kind}, {sharing}")
                );
            }
            Assert.True(
                DenseCurvature.RelativeError(scale * factored.Apply(v), Weights(golden["matvec"])) < Tolerance,
                $"{kind}, {sharing}"
            );
            held++;
        }
        foreach (var golden in trace["ekfac"]!.AsArray().Where(k => (bool)k!["separate_weight_and_bias"]!))
        {
            var (kind, sharing) = (KindOf(golden!), Sharings[(string)golden!["kfac_approx"]!]);
            double scale = kind == FisherKind.Empirical ? EmpiricalScale(name, trace) : 1,
                damping = (double)golden["inverse_damping"]!;
            using var factored = new KroneckerFactored(objective, kind, sharing: sharing, corrected: true);
            double total = golden["blocks"]!
                .AsArray()
                .Where(b => b!["Qa"] is not null)
                .Sum(b => Read(b!["corrected_eigenvalues"]).sum().ToDouble());
            Assert.Equal(total, scale * factored.ToDense().trace().ToDouble(), 1e-10 * total);
            held++;
            if (name == "cnn_ce_mean" && sharing == WeightSharing.Reduce)
                continue; // as below
            Assert.True(
                DenseCurvature.RelativeError(scale * factored.Apply(v), Weights(golden["matvec"])) < 1e-8,
                $"corrected, {kind}, {sharing}"
            );
            using var inverse = factored.Inverse(damping / scale, DampingMethod.Ekfac);
            Assert.True(
                DenseCurvature.RelativeError(inverse.Apply(v) / scale, Weights(golden["inverse_matvec"])) < 1e-8,
                $"inverse, {kind}, {sharing}"
            );
        }
        Assert.Equal(
            name switch
            {
                "cnn_ce_mean" or "seqpool_mse_mean" => 8,
                _ => 5,
            },
            held
        );
    }

    private static readonly Dictionary<string, WeightSharing> Sharings = new()
    {
        ["expand"] = WeightSharing.Expand,
        ["reduce"] = WeightSharing.Reduce,
    };

    [Theory, MemberData(nameof(Names))]
    public void Reduced_factors_and_corrected_eigenvalues_agree(string name)
    {
        var (trace, objective) = Load(name);
        var v = Read(trace["v"]);
        foreach (
            var golden in trace["kfac"]!
                .AsArray()
                .Where(k => (string)k!["kfac_approx"]! == "reduce" && !(bool)k["separate_weight_and_bias"]!)
        )
        {
            var kind = KindOf(golden!);
            double scale = kind == FisherKind.Empirical ? EmpiricalScale(name, trace) : 1;
            using var factored = new KroneckerFactored(objective, kind, sharing: WeightSharing.Reduce);
            foreach (var (block, (layer, a, g)) in golden!["blocks"]!.AsArray().Zip(factored.Factors))
            {
                Assert.True(DenseCurvature.RelativeError(a, Read(block!["A"])) < Tolerance, $"A of {layer}, {kind}");
                Assert.True(DenseCurvature.RelativeError(scale * g, Read(block["B"])) < Tolerance, $"G of {layer}, {kind}");
            }
            Assert.True(DenseCurvature.RelativeError(scale * factored.Apply(v), Read(golden["matvec"])) < Tolerance, kind.ToString());
        }
        foreach (var golden in trace["ekfac"]!.AsArray().Where(k => !(bool)k!["separate_weight_and_bias"]!))
        {
            var kind = KindOf(golden!);
            var sharing = Sharings[(string)golden!["kfac_approx"]!];
            double scale = kind == FisherKind.Empirical ? EmpiricalScale(name, trace) : 1,
                damping = (double)golden["inverse_damping"]!;
            using var factored = new KroneckerFactored(objective, kind, sharing: sharing, corrected: true);
            double total = golden["blocks"]!.AsArray().Sum(b => Read(b!["corrected_eigenvalues"]).sum().ToDouble());
            Assert.Equal(total, scale * factored.ToDense().trace().ToDouble(), 1e-10 * total);
            // with fewer examples than inputs a reduced A has a null space, in which the basis is anyone's choice
            if (name == "cnn_ce_mean" && sharing == WeightSharing.Reduce)
                continue;
            double error = DenseCurvature.RelativeError(scale * factored.Apply(v), Read(golden["matvec"]));
            Assert.True(error < 1e-8, $"{kind}, {sharing}: {error}");
            using var inverse = factored.Inverse(damping / scale, DampingMethod.Ekfac);
            error = DenseCurvature.RelativeError(inverse.Apply(v) / scale, Read(golden["inverse_matvec"]));
            Assert.True(error < 1e-8, $"inverse, {kind}, {sharing}: {error}");
        }
    }
}
