using Amari.Curvature;
using Amari.Jets;
using Amari.Native;

namespace Amari.LeastSquares;

/// <summary>A physics-informed problem as an ordinary model: points in, residuals out. With the targets zero and the likelihood
/// <see cref="SquaredError"/>, every optimizer and every measurement of curvature works on it.</summary>
/// <remarks>
/// <code>
/// input  [n, d + 1]   points, and in the last column the number of each row's term
/// output [n, 1]       √weight r of each row
/// loss   Σ weight r² / (2 n), the mean over the rows of all terms
/// </code>Rows of one term are best kept together: then nothing is copied.</remarks>
/// <example><code>
/// using Amari.Jets;
/// using Amari.LeastSquares;
///
/// PdeModel model = new(
///     new JetNetwork(nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).to(float64)),
///     new ResidualTerm("u'' = -u", JetSpec.Hessian(1), (u, x) => u.D(0, 0) + u.Value),
///     new ResidualTerm("u = cos x at the ends", JetSpec.Value(1), (u, x) => u.Value - x.cos()) { Weight = 10 }
/// );
/// using var rows = model.Rows(rand(30, 1, dtype: float64), tensor([0.0, 1.0]).unsqueeze(1));
/// using var zero = zeros(rows.shape[0], 1, float64);
/// using var optimizer = new LevenbergMarquardt(model, new SquaredError());
/// for (int step = 0; step &lt; 5; step++)
///     Console.WriteLine(optimizer.StepOnBatch(rows, zero).LossAfter);
/// </code></example>
public sealed class PdeModel : nn.Module<Tensor, Tensor>
{
    /// <param name="solution">u. Its network becomes a part of this model, and is disposed with it.</param>
    /// <param name="terms">At least one, all of the same number of inputs.</param>
    public PdeModel(JetNetwork solution, params IReadOnlyList<ResidualTerm> terms)
        : base(nameof(PdeModel))
    {
        ArgumentNullException.ThrowIfNull(solution);
        ArgumentNullException.ThrowIfNull(terms);
        if (terms.Count == 0)
            throw new ArgumentException("There are no residual terms; a problem needs at least one.", nameof(terms));
        int dimensions = terms[0].Spec.Dimensions;
        if (terms.FirstOrDefault(t => t.Spec.Dimensions != dimensions) is { } other)
            throw new ArgumentException(
                $"The term {terms[0].Name} has {dimensions} inputs, the term {other.Name} {other.Spec.Dimensions}; all need the same.",
                nameof(terms)
            );
        (Solution, Terms, Dimensions) = (solution, [.. terms], dimensions);
        register_module("network", solution.Module);
    }

    /// <summary>u.</summary>
    public JetNetwork Solution { get; }

    /// <summary>The terms, by the numbers of rows.</summary>
    public IReadOnlyList<ResidualTerm> Terms { get; }

    /// <summary>d: the number of inputs of u.</summary>
    public int Dimensions { get; }

    /// <summary>u at points, without a graph: [n, out]; the caller owns it.</summary>
    /// <param name="points">[n, d].</param>
    public Tensor Evaluate(Tensor points)
    {
        using var off = no_grad();
        using var u = Solution.At(points, JetSpec.Value(Dimensions));
        return u.Value.clone();
    }

    /// <summary>Inputs of this model: the points of every term, one term after the other. The caller owns them.</summary>
    /// <param name="points">[n, d] for each term, in their order; n may be 0.</param>
    public Tensor Rows(params IReadOnlyList<Tensor> points)
    {
        ArgumentNullException.ThrowIfNull(points);
        if (points.Count != Terms.Count)
            throw new ArgumentException($"There are {points.Count} sets of points for {Terms.Count} terms.", nameof(points));
        using var scope = NewDisposeScope();
        return cat([.. points.Select((p, term) => nn.functional.pad(Checked(p, term), [0, 1], value: term))]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (input.dim() != 2 || input.shape[1] != Dimensions + 1)
            throw new ArgumentException(
                $"The input is [{string.Join(", ", input.shape)}]; it must be [n, {Dimensions + 1}]: points of {Dimensions} numbers, and "
                    + "the number of their term.",
                nameof(input)
            );
        using var scope = NewDisposeScope();
        var points = input.narrow(1, 0, Dimensions);
        var runs = Runs(input);
        if (runs.Count == 0)
            return zeros([0, 1], dtype: input.dtype, device: input.device).MoveToOuterDisposeScope();
        var residuals =
            runs.Select(r => r.Term).Distinct().Count() == runs.Count
                ? runs.ConvertAll(r => Residual(r.Term, points.narrow(0, r.Start, r.Length), () => Range(r)))
                : Gathered(points, runs);
        return (residuals.Count == 1 ? residuals[0] : cat(residuals)).MoveToOuterDisposeScope();
    }

    /// <summary>The residuals of one term, [n, 1], times the root of its weight.</summary>
    private Tensor Residual(int number, Tensor points, Func<long[]> rows)
    {
        var term = Terms[number];
        using var part = LayerCapture.Part(rows); // for the Jacobian
        using var u = Solution.At(points, term.Spec);
        var r =
            term.Residual(u, points)
            ?? throw new InvalidOperationException($"The residual of the term {term.Name} is null; it must be a tensor [n].");
        long n = points.shape[0];
        if (r.dim() is not (1 or 2) || r.shape[0] != n || r.numel() != n)
            throw new InvalidOperationException(
                $"The residual of the term {term.Name} is [{string.Join(", ", r.shape)}] at {n} point{(n == 1 ? "" : "s")}; "
                    + $"it must be [{n}] or [{n}, 1]."
            );
        r = r.reshape(n, 1);
        return term.Weight == 1 ? r : r * Math.Sqrt(term.Weight);
    }

    /// <summary>Rows of a term that lie apart are brought together, and their residuals back in order.</summary>
    private List<Tensor> Gathered(Tensor points, List<(int Term, long Start, long Length)> runs)
    {
        var byTerm = runs.GroupBy(r => r.Term).Select(g => (Term: g.Key, Rows: g.SelectMany(Range).ToArray())).ToList();
        var residuals = byTerm.ConvertAll(t => Residual(t.Term, points.index_select(0, Index(t.Rows)), () => t.Rows));
        long[] order = [.. byTerm.SelectMany(t => t.Rows)],
            back = new long[order.Length];
        for (int i = 0; i < order.Length; i++)
            back[order[i]] = i;
        return [cat(residuals).index_select(0, Index(back))];

        Tensor Index(long[] rows) => tensor(rows, dtype: ScalarType.Int64, device: points.device);
    }

    private static long[] Range((int Term, long Start, long Length) run) =>
        [.. Enumerable.Range(0, (int)run.Length).Select(i => run.Start + i)];

    /// <summary>Rows of the same term that follow each other.</summary>
    private List<(int Term, long Start, long Length)> Runs(Tensor input)
    {
        double[] numbers = input.select(1, Dimensions).Elements<double>();
        List<(int Term, long Start, long Length)> runs = [];
        for (int i = 0; i < numbers.Length; i++)
        {
            double number = numbers[i];
            if (runs.Count > 0 && runs[^1].Term == number)
                runs[^1] = runs[^1] with { Length = runs[^1].Length + 1 };
            else if (number >= 0 && number < Terms.Count && number == (int)number)
                runs.Add(((int)number, i, 1));
            else
                throw new ArgumentException(
                    FormattableString.Invariant(
                        $"Row {i} of the input has the term {number} in its last column; it must be an integer in [0, {Terms.Count})."
                    ),
                    nameof(input)
                );
        }
        return runs;
    }

    private Tensor Checked(Tensor points, int term) =>
        points is { } p && p.dim() == 2 && p.shape[1] == Dimensions
            ? p
            : throw new ArgumentException(
                $"The points of the term {Terms[term].Name} are [{string.Join(", ", points?.shape ?? [])}]; "
                    + $"they must be [n, {Dimensions}].",
                nameof(points)
            );
}
