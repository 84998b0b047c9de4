using Amari.Kronecker;
using Amari.Native;
using Amari.Serialization;
using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>K-FAC's approximation of a Fisher: block-diagonal, A ⊗ G for each layer (Martens and Grosse 2015, arXiv:1503.05671), with
/// factors measured on all batches of an objective. The Kronecker products are never formed.</summary>
/// <remarks><code>
/// s = W ā,   A = E[ā ā'],   G = E[g g']     g = ∂ℓ/∂s of one term's own loss ℓ; under LossReduction.Sum, times the number of terms
/// V = [∂W ∂b] : [out, in+1],   C vec(V) = vec(G V A)
/// </code><see cref="WeightSharing"/> determines how several positions of an example are combined. The rows of parameters without a block
/// are zero; <see cref="Coverage"/> lists them.</remarks>
/// <example><code>
/// using Amari.Curvature;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var objective = new Objective(model, new Categorical(), [(x, y)]);
/// using var kfac = new KroneckerFactored(objective);      // A and G of each layer, measured on all batches
/// using var inverse = kfac.Inverse(damping: 1e-3, DampingMethod.Eigenbasis);
/// using var step = inverse.Apply(objective.Gradient().Gradient);
/// </code></example>
public sealed class KroneckerFactored : LinearOperator, IDisposable
{
    internal const string NoBlock = KroneckerEstimate.NoBlock;
    private readonly List<CurvatureBlock> _blocks;
    private readonly Dictionary<string, CoverageRow> _rows;

    private KroneckerFactored(ParameterLayout parameters, Dictionary<string, CoverageRow> rows) =>
        (Parameters, _blocks, _rows) = (parameters, [], rows);

    /// <summary>Measures the factors now, in one pass over the data. They do not change with the parameters afterwards.</summary>
    /// <param name="objective">An objective with a likelihood. Not kept.</param>
    /// <param name="kind">The gradients from which G is computed.</param>
    /// <param name="samples">Random draws per term, ≥ 1, for the kinds that draw.</param>
    /// <param name="seed">Seed of the draws.</param>
    /// <param name="sharing">How the positions of an example enter the factors.</param>
    /// <param name="corrected">EKFAC: replaces the eigenvalues by the second moments of the gradients in the eigenbasis. They are measured
    /// in a second pass over the data with the same draws.</param>
    /// <exception cref="ArgumentException">The objective is a plain function, which has no layers; or the Fisher is the forward-only one,
    /// which has no gradients to correct by.</exception>
    public KroneckerFactored(
        Objective objective,
        FisherKind kind = FisherKind.Exact,
        int samples = 1,
        long seed = 0,
        WeightSharing sharing = WeightSharing.Expand,
        bool corrected = false
    )
    {
        ArgumentNullException.ThrowIfNull(objective);
        if (objective.Model is not { } model || objective.Likelihood is not { } likelihood)
            throw new ArgumentException("A plain function has a Hessian, but no layers to take Kronecker factors of.", nameof(objective));
        using var estimate = new KroneckerEstimate(
            model,
            likelihood,
            new()
            {
                Fisher = FisherOptions.Of(kind, Require.AtLeast(1, samples)),
                WeightSharing = sharing,
                Inverse = InverseOptions.Of(corrected ? DampingMethod.Ekfac : DampingMethod.Eigenbasis),
            },
            Parameters = objective.Parameters,
            seed: seed
        );
        estimate.Measure(objective, inverts: false);
        (_blocks, _rows) = estimate.Release();
    }

    /// <summary>The curvature of an estimate: a copy of its running factors, as a mean over terms.</summary>
    /// <param name="estimate">An optimizer's, such as <c>Kfac.Estimate</c>, or one of your own. Not owned.</param>
    /// <param name="parameters">The parameters of the rows and columns; by default all trainable ones of the model.</param>
    public static KroneckerFactored Of(KroneckerEstimate estimate, ParameterLayout? parameters = null)
    {
        ArgumentNullException.ThrowIfNull(estimate);
        using var off = no_grad();
        parameters ??= ParameterLayout.Of(estimate.Model);
        var handles = parameters.Parameters.ToDictionary(p => p.Parameter.Handle, p => p.Name);
        var rows = estimate.Coverage.Rows.ToDictionary(r => r.Parameter);
        var result = new KroneckerFactored(
            parameters,
            parameters.Parameters.ToDictionary(
                p => p.Name,
                p => rows.GetValueOrDefault(p.Name) ?? new(p.Name, NoBlock, "not a parameter of the estimate")
            )
        );
        foreach (var block in estimate.Blocks)
        {
            var chosen = block.Parameters.Select(p => handles.ContainsKey(p.Handle)).ToList();
            if (chosen[0] && block.Copy(withBias: chosen[^1]) is { } copy)
                result._blocks.Add(copy);
            else
                foreach (var p in block.Parameters)
                    if (handles.TryGetValue(p.Handle, out string? name))
                        result._rows[name] = new(
                            name,
                            NoBlock,
                            chosen[0] ? "its factors are not yet measured" : "the layer's weight is left out"
                        );
        }
        return result;
    }

    /// <summary>The parameters of the rows and columns.</summary>
    public ParameterLayout Parameters { get; }

    /// <summary>The block of each parameter, and the reason. Parameters without a block have zero rows.</summary>
    public Coverage Coverage => new([.. Parameters.Parameters.Select(p => _rows[p.Name])]);

    /// <summary>The factors of each layer: A [in+1, in+1] and G [out, out], for grouped layers with a leading dimension [groups]. The A of
    /// an embedding is its diagonal. Blocks of normalisations have no such factors and are not listed. Owned by the operator.</summary>
    public IReadOnlyList<(string Layer, Tensor A, Tensor G)> Factors =>
        [.. _blocks.OfType<KroneckerBlock>().Select(b => (b.Name, b.A!, b.G!))];

    /// <summary>(C + λ I)⁻¹ as in K-FAC, by factorisations that are computed now. The rows of parameters without a block are divided by
    /// λ.</summary>
    /// <param name="damping">λ > 0.</param>
    /// <param name="method">The eigenbasis is exact. The factored method is cheaper, and inverts a larger matrix.
    /// <see cref="DampingMethod.Ekfac"/> inverts the corrected curvature exactly; the others invert the plain Kronecker products.</param>
    /// <param name="measureResidual">Whether each product also reports its residual. This takes a product with C.</param>
    /// <returns>The caller owns it. It must not be used after this operator is disposed.</returns>
    /// <exception cref="ArgumentException">EKFAC without corrected eigenvalues.</exception>
    public KroneckerFactoredInverse Inverse(
        double damping,
        DampingMethod method = DampingMethod.FactoredTikhonov,
        bool measureResidual = true
    ) => new(this, Require.Positive(damping), Require.Defined(method), measureResidual);

    /// <inheritdoc/>
    public override long Dimension => Parameters.Dimension;

    /// <inheritdoc/>
    public override ScalarType Type => Parameters.Type;

    /// <inheritdoc/>
    public override Device Device => Parameters.Device;

    /// <inheritdoc/>
    protected override Tensor Product(Tensor v) => CurvatureBlock.Map(_blocks, Parameters, v, 0, (i, x) => _blocks[i].Apply(x));

    internal IReadOnlyList<CurvatureBlock> Blocks => _blocks;

    /// <summary>Frees the factors.</summary>
    public void Dispose()
    {
        foreach (var block in _blocks)
            block.Dispose();
        _blocks.Clear();
    }
}
