using Amari.Curvature;
using Amari.Kronecker;
using Amari.Native;

namespace Amari.Verification;

/// <summary>Checks K-FAC's factors, their damped inverse and the resulting step against the layers' own inputs and output gradients.
/// Measures the distance of the factored Fisher block from the dense one.</summary>
internal sealed class KfacChecks : IDisposable
{
    private const double LearningRate = 0.1,
        KlClip = 1e-3;
    private const double RoundingErrors = 100; // of an inverse, in units of its condition number
    private const int DenseSize = 1000; // larger blocks are checked by the residual, smaller ones by a dense solve
    private readonly Problem _problem;
    private readonly FisherKind _kind;
    private readonly DampingMethod _method;
    private readonly double? _clip;
    private readonly Kfac _kfac;
    private readonly IReadOnlyList<CurvatureBlock> _blocks;
    private readonly LayerUses _uses;
    private readonly Tensor _moved,
        _score,
        _gradient;
    private readonly IReadOnlyList<Tensor> _cotangents;
    private double _condition = 1; // the largest of a block

    /// <summary>Makes one step of K-FAC, restores the weights, then runs the oracle's own pass.</summary>
    private KfacChecks(Problem problem, FisherKind kind, DampingMethod method, double? clip)
    {
        (_problem, _kind, _method, _clip) = (problem, kind, method, clip);
        var layout = problem.Layout;
        _kfac = new(
            problem.Model,
            new()
            {
                LearningRate = LearningRate,
                Damping = problem.Options.Damping,
                Curvature = new()
                {
                    Fisher = FisherOptions.Of(kind),
                    Inverse = InverseOptions.Of(method),
                    FactorBatchSize = long.MaxValue,
                },
                Step = new FixedStep { KlClip = clip, Momentum = 0 },
                Fallback = new() { LearningRate = LearningRate, WeightDecay = 0 },
            },
            problem.Likelihood
        );
        _blocks = [.. _kfac.Estimate.Blocks];
        var w = layout.Read();
        try
        {
            _kfac.UpdateCurvature(problem.Inputs, problem.Targets); // of which it learns what counts
            using (_kfac.Estimate.SuspendOthers())
                ReverseMode.Backward(problem.Likelihood.Loss(problem.Model.call(problem.Inputs), problem.Targets));
            _kfac.step();
            _moved = layout.Read() - w;
        }
        finally
        {
            layout.Write(w);
            foreach (var (_, p) in layout.Parameters)
                p.grad = null;
        }
        _uses = new(problem.Model, problem.Inputs);
        var f = _uses.Output;
        _score = Problem.Derivative(problem.Likelihood.SumNegativeLogLikelihood(f, problem.Targets), null, [f], true)[0];
        using var signs = new Generator((ulong)_kfac.Group.Options.Seed, CPU); // the same as in the optimizer's pass
        _cotangents =
            kind == FisherKind.Empirical
                ? [_score]
                :
                [
                    .. Enumerable
                        .Range(0, (int)problem.Outputs)
                        .Select(c => problem.OfCounted(f, problem.Likelihood.FisherRootColumn(f.detach(), c, signs))),
                ];
        _gradient = problem.Gradient;
    }

    private List<Check> Checks { get; } = [];

    private List<Approximation> Approximations { get; } = [];

    /// <summary>Runs K-FAC twice: with the exact Fisher (the empirical one if the Jacobian is too large) and factored damping, then with
    /// the empirical Fisher, damping in the eigenbasis and the KL clip.</summary>
    public static (IReadOnlyList<Check> Checks, IReadOnlyList<Approximation> Approximations, Coverage Coverage) Run(Problem problem)
    {
        var kind = problem.Jacobian is null ? FisherKind.Empirical : FisherKind.Exact;
        var (checks, approximations, coverage) = Once(kind, DampingMethod.FactoredTikhonov, null);
        return ([.. checks, .. Once(FisherKind.Empirical, DampingMethod.Eigenbasis, KlClip).Checks], approximations, coverage);

        (IReadOnlyList<Check> Checks, IReadOnlyList<Approximation> Approximations, Coverage Coverage) Once(
            FisherKind fisher,
            DampingMethod method,
            double? clip
        )
        {
            using var scope = NewDisposeScope();
            using var run = new KfacChecks(problem, fisher, method, clip);
            run.Check();
            return (run.Checks, run.Approximations, run._kfac.Coverage);
        }
    }

    private void Check()
    {
        double product = 0; // Σ ⟨U, V⟩
        var steps = new List<(CurvatureBlock Block, Tensor U)>();
        foreach (var block in _blocks)
        {
            using var scope = NewDisposeScope();
            if (!_kfac.Estimate.Blocks.Contains(block))
            {
                foreach (var p in block.Parameters)
                    Add(
                        "k-fac capture",
                        Name(p),
                        1,
                        "the weight's own gradient",
                        _kfac.Coverage.Rows.First(r => r.Parameter == Name(p)).Reason
                    );
                continue;
            }
            if (block.Inverse is null)
                continue; // it got no gradient
            var v = block.Join([.. block.Parameters.Select(p => Part(_gradient, p))]);
            var u = _kfac.Estimate.Precondition(block, v);
            bool seen = Captured(block, v);
            if (block is KroneckerBlock kronecker)
            {
                var (a, g) = Factors(kronecker, seen);
                Inverse(block, a, g, u, v);
            }
            else
                Unitwise(block, seen, u, v);
            steps.Add((block, u.MoveToOuterDisposeScope()));
            product += (u * v).sum().ToDouble();
            if (Distance(block) is { } distance)
                Approximations.Add(new(Label(block), distance, _kind));
        }
        CheckStep(steps, product);
    }

    /// <summary>Checks the step: -η ν U for a block, Adam's first step for the other parameters.</summary>
    /// <param name="steps">U of each block.</param>
    /// <param name="product">Σ ⟨U, V⟩.</param>
    private void CheckStep(List<(CurvatureBlock Block, Tensor U)> steps, double product)
    {
        double nu =
            _clip is { } c && LearningRate * LearningRate * product > c ? Math.Sqrt(c / (LearningRate * LearningRate * product)) : 1;
        var rest = _problem.Layout.Parameters.ToDictionary(p => p.Name, p => p.Parameter);
        foreach (var (block, u) in steps)
        foreach (var (p, d) in block.Parameters.Zip(block.Split(u * (-LearningRate * nu))))
        {
            Add(
                "k-fac step",
                Name(p),
                LikelihoodChecks.RelativeError(Part(_moved, p), d, Problem.Floor(_moved)),
                "the preconditioned gradient",
                "the step differs from -η ν U",
                _condition
            );
            rest.Remove(Name(p));
        }
        foreach (var (name, p) in rest)
        {
            var d = Part(_gradient, p);
            d = d / (d.abs() + new AdamW.Options().Epsilon) * -LearningRate;
            Add(
                "k-fac step",
                name,
                LikelihoodChecks.RelativeError(Part(_moved, p), d, Problem.Floor(_moved)),
                "the first step of Adam",
                "AdamW trains it, but its step differs"
            );
        }
    }

    /// <summary>Whether the oracle knows the layer. If so, checks that its uses add up to the gradient.</summary>
    private bool Captured(CurvatureBlock block, Tensor v)
    {
        if (!_uses.Saw(block.Name))
        {
            Checks.Add(
                new(
                    FactorCheck,
                    Label(block),
                    double.NaN,
                    CheckOutcome.Inconclusive,
                    "the layer's own inputs and output gradients",
                    $"the verifier does not support this kind of layer: {block.Kind}"
                )
            );
            return false;
        }
        var seen = block.Split(_uses.WeightGradient(block.Name, _score / _problem.Terms, block.Parameters.Count > 1));
        foreach (var (p, s, d) in block.Parameters.Zip(seen, block.Split(v)))
            Add(
                "k-fac capture",
                Name(p),
                LikelihoodChecks.RelativeError(s, d, Problem.Floor(_gradient)),
                "the weight's own gradient",
                "some uses of the layer are not captured: use call(), not forward()"
            );
        return true;
    }

    private string FactorCheck => $"k-fac factors ({_kind.ToString().ToLowerInvariant()})";

    /// <summary>The oracle's A and G, compared with K-FAC's. For layers that the oracle does not support, K-FAC's own.</summary>
    private (Tensor A, Tensor G) Factors(KroneckerBlock block, bool seen)
    {
        if (!seen)
            return (block.A!, block.G!);
        var (a, g) = (_uses.A(block.Name, block.Parameters.Count > 1), _uses.OutputGram(block.Name, _cotangents) / _problem.Terms);
        double error = Math.Max(LikelihoodChecks.RelativeError(block.A!, a, 0), LikelihoodChecks.RelativeError(block.G!, g, 0));
        Add(
            FactorCheck,
            Label(block),
            error,
            "the layer's own inputs and output gradients",
            "A or G is not the mean of its outer products"
        );
        return (a, g);
    }

    /// <summary>Checks the 2 x 2 blocks of a normalisation against the oracle, and U = (F + λ)⁻¹ V by its residual.</summary>
    private void Unitwise(CurvatureBlock block, bool seen, Tensor u, Tensor v)
    {
        if (!seen)
            return;
        var f = _uses.UnitGram(block.Name, _cotangents, _problem.Positions, block.Parameters.Count > 1) / _problem.Terms;
        Add(
            FactorCheck,
            Label(block),
            LikelihoodChecks.RelativeError(block.Tensors().First().Tensor, f, 0),
            "the layer's own inputs and output gradients",
            "F is not the mean of its outer products"
        );
        var residual = (f * u.unsqueeze(-2)).sum(-1) + _problem.Options.Damping * u;
        foreach (var (p, x, y) in block.Parameters.Zip(block.Split(residual), block.Split(v)))
            Add(
                "k-fac inverse (unit-wise)",
                Name(p),
                LikelihoodChecks.RelativeError(x, y, Problem.Floor(v) * Math.Sqrt(y.numel())),
                "its residual",
                "the inverse does not belong to the factors"
            );
    }

    /// <summary>Checks U = (F + λ)⁻¹ V against the solution with the dense block, or by its residual if that is too large.</summary>
    private void Inverse(CurvatureBlock block, Tensor a, Tensor g, Tensor u, Tensor v)
    {
        double damping = _problem.Options.Damping,
            shift = 0;
        if (_method == DampingMethod.FactoredTikhonov)
        {
            var pi = (Trace(a) / a.shape[^1] / (Trace(g) / g.shape[^1])).sqrt();
            pi = where(pi.isfinite() & pi.gt(0), pi, ones_like(pi));
            a =
                a.dim() == 1
                    ? a + pi.flatten() * Math.Sqrt(damping)
                    : a + eye(a.shape[^1], dtype: a.dtype, device: a.device) * pi * Math.Sqrt(damping);
            g = g + eye(g.shape[^1], dtype: g.dtype, device: g.device) / pi * Math.Sqrt(damping);
        }
        else
            shift = damping;
        double condition = ((Trace(a) * Trace(g)).max().ToDouble() + shift) / damping;
        _condition = Math.Max(_condition, condition);
        bool dense = v.dim() == 2 && v.numel() <= DenseSize;
        var (value, expected) = ((a.dim() == 1 ? g.MatrixProduct(u) * a : g.MatrixProduct(u).MatrixProduct(a)) + shift * u, v);
        if (dense)
            (value, expected) = (
                u,
                linalg
                    .solve(
                        kron(g, a.dim() == 1 ? a.diag() : a) + shift * eye(v.numel(), dtype: v.dtype, device: v.device),
                        v.reshape(-1, 1)
                    )
                    .reshape(v.shape)
            );
        foreach (var (p, x, y) in block.Parameters.Zip(block.Split(value), block.Split(expected)))
            Add(
                _method == DampingMethod.Eigenbasis ? "k-fac inverse (eigenbasis)" : "k-fac inverse (factored)",
                Name(p),
                LikelihoodChecks.RelativeError(x, y, Problem.Floor(expected) * Math.Sqrt(y.numel())),
                dense ? "the solution with the dense block" : "its residual",
                "the inverse does not belong to the factors",
                condition
            );

        static Tensor Trace(Tensor m) => m.dim() == 1 ? m.sum().view(1, 1) : m.diagonal(0, -2, -1).sum(-1).unsqueeze(-1).unsqueeze(-1);
    }

    /// <summary>‖C - F‖ / ‖F‖ for a block C, without forming either matrix: F = Σ k k' with few k, each with the shape of V, so ⟨C, F⟩ = Σ
    /// ⟨k, C k⟩.</summary>
    private double? Distance(CurvatureBlock block)
    {
        if (Roots() is not { } roots)
            return null;
        using var scope = NewDisposeScope();
        var k = stack([
            .. Enumerable.Range(0, (int)roots.shape[0]).Select(i => block.Join([.. block.Parameters.Select(p => Part(roots[i], p))])),
        ]); // [R, .. V's shape]
        var gram = k.flatten(1).mm(k.flatten(1).T);
        double inner = (block.Apply(k) * k).sum().ToDouble(),
            f = gram.square().sum().ToDouble();
        return f > 0 ? Math.Sqrt(Math.Max(0, f - 2 * inner + block.SquaredNorm) / f) : null;
    }

    /// <summary>k for every term and output (exact) or every term (empirical): [R, d] with the Fisher = Σ k k'. Null if it would be too
    /// large.</summary>
    private Tensor? Roots()
    {
        if (_roots is not null)
            return _roots;
        long terms = _problem.Positions,
            outputs = _problem.Outputs;
        if (_kind == FisherKind.Exact)
        {
            var j = _problem.Jacobian!.view(terms, outputs, -1);
            return _roots = (
                stack([.. _cotangents.Select(s => s.reshape(terms, 1, -1).MatrixProduct(j).squeeze(1))]).view(terms * outputs, -1)
                / Math.Sqrt(_problem.Terms)
            ).DetachFromDisposeScope();
        }
        if ((double)terms * _problem.Layout.Dimension > _problem.Options.MaxJacobian * 4.0)
            return null;
        var score = _score.reshape(terms, -1);
        return _roots = (
            stack([
                .. Enumerable
                    .Range(0, (int)terms)
                    .Select(m =>
                    {
                        var one = zeros_like(score);
                        one[m] = score[m];
                        return _problem.TransposedProduct(one.view(_score.shape));
                    }),
            ]) / Math.Sqrt(_problem.Terms)
        ).DetachFromDisposeScope();
    }

    private Tensor? _roots;

    /// <param name="name">Of the check.</param>
    /// <param name="parameter">Its subject.</param>
    /// <param name="error">Relative.</param>
    /// <param name="oracle">In words.</param>
    /// <param name="fault">What is wrong if the error is large.</param>
    /// <param name="condition">That of what is inverted: its rounding errors are no fault.</param>
    private void Add(string name, string parameter, double error, string oracle, string fault, double condition = 0)
    {
        double rounding = RoundingErrors * finfo(_gradient.dtype).eps * condition;
        var outcome =
            error <= _problem.Options.Tolerance ? CheckOutcome.Passed
            : error <= rounding ? CheckOutcome.Inconclusive
            : CheckOutcome.Failed;
        string detail = outcome switch
        {
            CheckOutcome.Passed => "",
            CheckOutcome.Inconclusive => FormattableString.Invariant(
                $"rounding hides errors: the factors are {condition:G2} times the damping {_problem.Options.Damping:G2}"
            ),
            _ => fault,
        };
        Checks.Add(new(name, parameter, error, outcome, oracle, detail));
    }

    private int Index(Parameter p) =>
        Enumerable.Range(0, _problem.Layout.Parameters.Count).First(i => _problem.Layout.Parameters[i].Parameter.Handle == p.Handle);

    private string Name(Parameter p) => _problem.Layout.Parameters[Index(p)].Name;

    private static string Label(CurvatureBlock block) => block.Name.Length == 0 ? block.Kind : block.Name;

    /// <summary>A parameter's part of a vector [d], with the parameter's shape.</summary>
    private Tensor Part(Tensor v, Parameter p) => _problem.Part(v, Index(p)).view(p.shape);

    public void Dispose()
    {
        _roots?.Dispose();
        _kfac.Dispose();
        _uses.Dispose();
    }
}
