using Amari.Curvature;
using Amari.Kronecker;
using Amari.Reporting;
using Amari.Solvers;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>D2: the lecture's K-FAC step of one linear layer compared with the dense Fisher block, then the library's step.</summary>
/// <remarks><code>
/// x : [32, 10], y = x W', W : [5, 10], loss = mean of (y - t)²
/// A ← 0.9 I + 0.1 x'x / 32,  G ← 0.9 I + 0.1 δ'δ / 32,  δ = y - t
/// W ← W - 0.1 (G + 10⁻³)⁻¹ ∂W (A + 10⁻³)⁻¹
/// </code>Blocks are in the order of vec(W), column by column. With δ of the data this is the empirical Fisher, which A ⊗ G approximates.
/// For the true Fisher of a Gaussian output, δ is drawn independently of x, and A ⊗ G is exact.</remarks>
internal sealed class D2KfacStep() : LectureItem("D2", "One K-FAC step of a linear layer 10 -> 5")
{
    private const int Inputs = 10,
        Outputs = 5,
        Batch = 32;
    private const double Keep = 0.9,
        Damping = 1e-3,
        Rate = 0.1;
    private static readonly Gaussian Squared = new(0.5); // -log p is (y - t)² up to a constant

    public override LectureResult Run(int seed)
    {
        // Longer than 60 lines: one experiment from top to bottom, its table, its checks and its figures.
        using var layer = nn.Linear(Inputs, Outputs, hasBias: false).to(ScalarType.Float64);
        Tensor x = Random(Batch, Inputs),
            t = Random(Batch, Outputs),
            w = layer.weight!.detach().clone();
        var y = layer.call(x);
        var loss = (y - t).square().mean();
        loss.backward();
        Tensor gradient = layer.weight!.grad!.clone(),
            delta = (y - t).detach();

        // the lecture's step, with the library's factors and inverses
        using var block = new LinearBlock("linear", layer, hasBias: false);
        var (sums, rows) = block.Measure(x, delta, new(First: true, PerExample: true, WeightSharing.Expand, Corrected: false));
        Tensor gram = sums[0]!,
            scatter = sums[1]!;
        Tensor a = Keep * Identity(Inputs) + (1 - Keep) * gram / rows,
            g = Keep * Identity(Outputs) + (1 - Keep) * scatter / Batch;
        using var inverse = new FactoredInverse(
            new DenseFactor(SpdInverse.Cholesky(g + Damping * Identity(Outputs)).Inverse!),
            new DenseFactor(SpdInverse.Cholesky(a + Damping * Identity(Inputs)).Inverse!)
        );
        var step = inverse.Apply(gradient, Damping);
        double after = Loss(w - Rate * step),
            plain = Loss(w - Rate * gradient);

        // The same step from matrices of 50 x 50.
        var damped = kron(a + Damping * Identity(Inputs), g + Damping * Identity(Outputs));
        double stepError = Relative(linalg.solve(damped, Vec(gradient)), Vec(step));
        Tensor scores = (x.unsqueeze(2) * delta.unsqueeze(1)).reshape(Batch, -1),
            empirical = scores.t().mm(scores) / Batch;
        var factored = kron(gram / rows, scatter / Batch);

        // The library's optimizer with the true Fisher, from the same weights. Its loss is the mean over 32 terms of |y - t|².
        var objective = new Objective(layer, Squared, [(x, t)]);
        var fisher = new Fisher(objective).ToDense();
        Tensor natural = linalg.solve(fisher + Damping * Identity(fisher.shape[0]), objective.Gradient().Gradient),
            exact,
            moved;
        using (
            var kfac = new Kfac(
                layer,
                new()
                {
                    Damping = Damping,
                    LearningRate = Rate,
                    Step = new AutoStep { KlClip = null, Momentum = 0 },
                    Curvature = new()
                    {
                        Fisher = new FisherOptions.Exact(),
                        Inverse = new InverseOptions.Eigenbasis(),
                        FactorEma = Keep,
                    },
                },
                Squared
            )
        )
        {
            kfac.zero_grad();
            Squared.Loss(layer.call(x), t).backward();
            kfac.step();
            exact = KroneckerFactored.Of(kfac.Estimate).ToDense();
            moved = ((w - layer.weight!.detach()) / Rate).reshape(-1);
        }
        double library = Loss(layer.weight!.detach());

        var table = new LectureTable("quantity", "value");
        foreach (
            var (name, value) in new (string, double)[]
            {
                ("loss before", loss.ToDouble()),
                ("loss after a gradient step, lr 0.1", plain),
                ("loss after the lecture's K-FAC step", after),
                ("loss after the library's K-FAC step", library),
                ("lecture's step against the dense (A x G)^-1", stepError),
                ("A x G of the data's delta against the dense empirical block", Relative(factored, empirical)),
                ("A x G of the library against the dense true Fisher block", Relative(exact, fisher)),
                ("library's step against the dense (F + damping)^-1 g", Relative(moved, natural)),
            }
        )
            table.Add(name, value);
        Check[] checks =
        [
            Check.Near("lecture's step against the dense solve, relative", stepError, 0, 1e-10),
            Check.Near("A x G of the library against the dense true Fisher block, relative", Relative(exact, fisher), 0, 1e-10),
            Check.Near("library's step against the dense natural gradient, relative", Relative(moved, natural), 0, 1e-8),
            Check.AtMost("loss after the lecture's step minus the loss before", after - loss.ToDouble(), 0),
            Check.AtMost("loss after the library's step minus the loss after the lecture's", library - after, 0),
        ];
        return new(
            [table],
            checks,
            [Draw(empirical, factored, Ordered(fisher), Ordered(exact))],
            "A 10 x 10 and a 5 x 5 inverse give exactly the step of the 50 x 50 one. With the data's errors A x G only approximates "
                + "the dense block; with the model's own errors it is exact."
        );

        double Loss(Tensor weight) => (x.mm(weight.t()) - t).square().mean().ToDouble();
    }

    private static Tensor Random(params long[] shape) => randn(shape, dtype: ScalarType.Float64);

    private static Tensor Identity(long n) => eye(n, dtype: ScalarType.Float64);

    /// <summary>The columns of a matrix [out, in], one below the other.</summary>
    private static Tensor Vec(Tensor matrix) => matrix.t().reshape(-1);

    /// <summary>A matrix over the weights in the order of memory, in that of <see cref="Vec"/>.</summary>
    private static Tensor Ordered(Tensor block)
    {
        var order = Vec(arange(Outputs * Inputs, dtype: ScalarType.Int64).view(Outputs, Inputs));
        return block.index_select(0, order).index_select(1, order);
    }

    private static double Relative(Tensor value, Tensor expected) => (value - expected).norm().ToDouble() / expected.norm().ToDouble();

    private static Figure Draw(Tensor empirical, Tensor factored, Tensor fisher, Tensor exact)
    {
        Plot Of(string title, Tensor matrix, Tensor like)
        {
            var panel = Figure.Panel(title, "entry of vec W", "entry of vec W");
            Figure.Matrix(panel, Figure.Array(matrix), like.abs().quantile(tensor(0.99, dtype: ScalarType.Float64)).ToDouble());
            return panel;
        }
        return new(
            "D2-kfac-step",
            Of("empirical Fisher, dense 50 x 50", empirical, empirical),
            Of(FormattableString.Invariant($"its A ⊗ G: {100 * Relative(factored, empirical):F0} % off"), factored, empirical),
            Of("true Fisher, dense 50 x 50", fisher, fisher),
            Of("its A ⊗ G: the same matrix", exact, fisher)
        )
        {
            Columns = 2,
            Size = (1500, 1280),
        };
    }
}
