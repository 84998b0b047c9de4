using Amari.Kronecker;
using Amari.Solvers;

namespace Amari;

/// <summary>The Fisher block of one layer: sums over its uses become running means, and those a damped inverse.</summary>
/// <remarks>A block kind says what is summed (<see cref="Measure"/>), how gradients become its matrix V and back (<see cref="Join"/>,
/// <see cref="Split"/>), and what the curvature and its inverse do to V.</remarks>
/// <param name="name">The layer's name in the model.</param>
/// <param name="hasBias">Whether the bias is part of the block.</param>
/// <param name="factors">The names of the running factors.</param>
internal abstract partial class CurvatureBlock(string name, bool hasBias, params string[] factors) : IDisposable
{
    private Tensor?[] _running = new Tensor?[factors.Length];
    private BlockInverse? _inverse; // of EKFAC the eigenbasis alone
    private Tensor? _moments; // second moments in the eigenbasis, null where they do not correct eigenvalues

    /// <summary>The layer's name in the model.</summary>
    public string Name => name;

    /// <summary>What the block is of, as the coverage report says.</summary>
    public abstract string Kind { get; }

    /// <summary>W; read from the layer each time, for <c>module.to</c> makes new ones.</summary>
    protected abstract Parameter Weight { get; }

    /// <summary>b, used only if the block was made with a bias.</summary>
    protected abstract Parameter? Bias { get; }

    protected bool HasBias { get; private set; } = hasBias;

    /// <summary>W, and b if there is one.</summary>
    public IReadOnlyList<Parameter> Parameters => HasBias ? [Weight, Bias!] : [Weight];

    /// <summary>Why its uses cannot be seen; null while they can.</summary>
    public string? Unseen { get; set; }

    /// <summary>Whether it had a gradient before it had factors: they are measured at its next use.</summary>
    public bool IsAwaited { get; set; }

    /// <summary>How often the running factors were updated.</summary>
    public long Updates { get; private set; }

    /// <summary>The share that the factors of the last refresh have in the running means; 0 before there is one, or if it failed.</summary>
    public double RefreshedShare { get; set; }

    /// <summary>Whether the last inverse stays in use although a refresh is due.</summary>
    /// <param name="method">How the next would be damped.</param>
    public virtual bool OutlastsRefresh(DampingMethod method) => false;

    /// <summary>Whether there are running factors.</summary>
    public bool IsMeasured => _running[0] is not null;

    /// <summary>What the last refresh left, with the eigenvalues that were measured in its basis since.</summary>
    public BlockInverse? Inverse
    {
        get => (_inverse, _moments) is (EigenbasisInverse basis, { } moments) ? new CorrectedInverse(basis, moments) : _inverse;
        private set =>
            (_inverse, _moments) = value is CorrectedInverse { Basis: var basis, Eigenvalues: var moments }
                ? ((BlockInverse?)basis, moments)
                : (value, null);
    }

    /// <summary>A running factor by its place.</summary>
    protected Tensor? Factor(int i) => _running[i];

    /// <summary>The dimensions of the layer's input for one example alone, without one of examples; null where that is not
    /// known.</summary>
    public virtual int? ExampleDimensions => null;

    /// <summary>Whether an input is of positions, and the same for every example.</summary>
    public virtual bool IsOfPositions(Tensor x) => false;

    /// <summary>A use of the layer follows that is to be measured.</summary>
    public virtual void Observe() { }

    /// <summary>Σ g ā' over all positions of one use, as V: the gradient of <see cref="Parameters"/>, if that is all their use; and the sum
    /// of the terms' sizes, ‖|g| |ā|'‖, which its rounding is relative to.</summary>
    /// <param name="x">The layer's input.</param>
    /// <param name="g">The gradient at its output.</param>
    public abstract (Tensor V, double Size) Gradient(Tensor x, Tensor g);

    /// <summary>Whether some of a batch's examples may stand for all.</summary>
    public virtual bool TakesExamples => true;

    /// <summary>How many examples of a batch its factors need.</summary>
    /// <param name="g">The gradient at the layer's output, by example.</param>
    /// <param name="sharing">How positions are combined.</param>
    /// <param name="decay">Of the running average.</param>
    public virtual long ExamplesFor(Tensor g, WeightSharing sharing, double decay) => long.MaxValue;

    /// <summary>Whether what is measured depends on which positions are one example's: means over them, or squares of an example's whole
    /// gradient.</summary>
    public abstract bool JoinsPositions(FisherSettings settings);

    /// <summary>Sums over one use of the layer: one for each factor, and perhaps a last one of second moments in the eigenbasis; the caller
    /// owns them.</summary>
    public abstract BlockSums Measure(Tensor x, Tensor g, Measurement what);

    /// <summary>What makes a sum the mean that a factor is; without an output scale all sums are over rows.</summary>
    protected abstract double Scale(int factor, double rows, double? outputScale);

    /// <summary>Whether a factor begins as a multiple of the identity, if any does.</summary>
    protected virtual bool StartsAsIdentity(int factor) => false;

    /// <summary>U'(A ⊗ s I)U: the part of the metric that is of the identity.</summary>
    public virtual double IdentityForm(Tensor u, double identity) => 0;

    /// <summary>A new inverse of the running factors. What fails keeps its previous value, and is reported.</summary>
    public abstract (BlockInverse Inverse, List<string> Messages) Invert(
        DampingMethod method,
        double damping,
        BlockInverse? previous,
        FactorInverter by,
        MatmulPrecision precision = MatmulPrecision.Full
    );

    /// <summary>The inverse of <see cref="Apply"/>'s matrix, damped; the caller owns it.</summary>
    /// <exception cref="ArgumentException">EKFAC without corrected eigenvalues.</exception>
    public virtual (BlockInverse Inverse, List<string> Messages) Invert(DampingMethod method, double damping) =>
        Invert(method, damping, null, new());

    /// <summary>The mean eigenvalue of the curvature.</summary>
    protected abstract double MeanEigenvalue { get; }

    /// <summary>The curvature times V; a fresh tensor.</summary>
    public abstract Tensor Apply(Tensor v);

    /// <summary>‖F‖² of the curvature.</summary>
    public abstract double SquaredNorm { get; }

    /// <summary>Gradients shaped as <see cref="Parameters"/> → V.</summary>
    /// <param name="gradients">One each, or <paramref name="batch"/> of them with a leading dimension.</param>
    /// <param name="batch">[k] for V : [k, ..]; empty for one.</param>
    public abstract Tensor Join(IReadOnlyList<Tensor> gradients, params long[] batch);

    /// <summary>The inverse of <see cref="Join"/>: shaped as <see cref="Parameters"/>; views of <paramref name="v"/> where
    /// possible.</summary>
    public abstract IReadOnlyList<Tensor> Split(Tensor v, params long[] batch);

    /// <summary>The last dimensions that saved tensors must have.</summary>
    public abstract IEnumerable<(string Name, long[] Tail)> Shapes();

    /// <summary>The inverse among saved tensors; null if there is none.</summary>
    protected abstract BlockInverse? Restored(Func<string, Tensor?> find);

    /// <summary>A running factor without the bias's part.</summary>
    protected abstract Tensor WithoutBias(int factor, Tensor value);

    /// <summary>What an inverse costs: Σ n³ over the factors' dimensions n (those of vectors n).</summary>
    public double InverseCost => _running.Where(f => f is not null).Sum(f => f!.numel() * (f.dim() == 1 ? 1.0 : f.shape[^1]));

    /// <summary>Takes a copy of an inverse that another rank computed.</summary>
    public void Adopt(Func<string, Tensor?> find) => Replace(Restored(find)?.Map(t => t.clone().DetachFromDisposeScope()));

    /// <summary>Frees the inverse.</summary>
    public void Drop() => Replace(null);

    /// <summary>Recomputes the inverse from the running factors. What fails keeps its previous value, and is reported.</summary>
    /// <param name="settings">How it is damped.</param>
    /// <param name="inverter">Inverts Kronecker factors.</param>
    /// <param name="precision">What the inverse is kept in.</param>
    public IEnumerable<string> Refresh(DampingSettings settings, FactorInverter inverter, MatmulPrecision precision)
    {
        using var scope = NewDisposeScope();
        var (next, messages) = Invert(settings.Method, Damping(settings), Inverse, inverter, precision);
        Replace(next);
        return messages;
    }

    /// <summary>λ in the unit of the Fisher for the running factors as they are.</summary>
    public double Damping(DampingSettings settings) => settings.InForce(settings.IsRelative ? MeanEigenvalue : 1, FactorType);

    protected void Replace(BlockInverse? next)
    {
        Inverse?.Dispose();
        Inverse = next;
    }

    /// <summary>F⁻¹ V for the gradients of <see cref="Parameters"/> joined by <see cref="Join"/>.</summary>
    public Tensor Precondition(Tensor v, DampingSettings settings)
    {
        var inverse = Inverse!;
        return inverse.Apply(v, settings.InForce(settings.IsRelative ? inverse.MeanEigenvalue : 1, FactorType));
    }

    /// <summary>The dtype of factors: the weight's, but float32 for bfloat16 and float16.</summary>
    public ScalarType FactorType => Weight.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? ScalarType.Float32 : Weight.dtype;

    protected static Tensor Own(Tensor t) => t.contiguous().DetachFromDisposeScope();

    public void Dispose()
    {
        Discard();
        foreach (var t in _running)
            t?.Dispose();
        Inverse?.Dispose();
    }
}
