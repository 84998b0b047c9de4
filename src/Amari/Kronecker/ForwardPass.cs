using Amari.Distributed;
using Amari.Serialization;

namespace Amari.Kronecker;

/// <summary>One forward pass of a model, and what was measured in it.</summary>
/// <param name="inputs">The shapes of the model's own inputs.</param>
internal sealed class ForwardPass(params long[][] inputs)
{
    private List<(CurvatureBlock Block, BlockSums Sums)> _sums = [];
    private readonly Dictionary<CurvatureBlock, int> _uses = [];

    /// <summary>Loss terms of its output.</summary>
    public long Terms { get; set; }

    /// <summary>Examples of its output.</summary>
    public long Examples { get; set; }

    /// <summary>Examples of the model's first input.</summary>
    public long InputRows => !IsUnbatched && inputs is [[var rows, ..], ..] ? rows : 1;

    /// <summary>Which part of the batch of all ranks its output is of, in rows of the output; null for a process alone.</summary>
    public BatchPart? Part { get; set; }

    /// <summary>Whether the training loss was propagated back through it, and its gradients were not forgotten since.</summary>
    public bool IsLive { get; set; }

    /// <summary>The extra backward pass that is running, or -1.</summary>
    public int Sample { get; set; } = -1;

    /// <summary>Whether no label can be drawn from its output.</summary>
    public bool NotFinite { get; set; }

    /// <summary>Whether the model was called with one example that has no dimension of examples.</summary>
    public bool IsUnbatched { get; private set; }

    /// <summary>A copy of its output, where the gradient there is to be held against the likelihood; what came of it.</summary>
    public Tensor? Output { get; set; }

    /// <inheritdoc cref="Output"/>
    public bool? Disagrees { get; set; }

    /// <summary>The model's input, detached, and the gradient of the loss at its output, where they are kept: what a quadratic model is
    /// made of.</summary>
    public Tensor? Input { get; set; }

    /// <inheritdoc cref="Input"/>
    public Tensor? OutputGradient { get; private set; }

    /// <summary>The targets of a pass whose input is kept, where they are known.</summary>
    public Tensor? Target { get; set; }

    /// <summary>Whether its targets are known.</summary>
    public bool KnowsTargets { get; set; }

    /// <summary>The examples of which some term counts; null for all.</summary>
    public long[]? Rows { get; set; }

    /// <summary>How many examples count; all if none does, for shapes.</summary>
    public long CountedExamples => Rows is { Length: > 0 } some ? some.Length : Examples;

    /// <summary>Takes the gradients of a backward pass that holds the uses of layers against their weights' gradients; null
    /// otherwise.</summary>
    public UseGradients? Confirmed { get; set; }

    /// <summary>Adds what a backward pass brought to the output; of a copy.</summary>
    public void Receive(Tensor gradient)
    {
        if (OutputGradient is { } sum)
            sum.add_(gradient);
        else
            OutputGradient = gradient.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>What backward passes brought counts no longer.</summary>
    public void Forget()
    {
        OutputGradient?.Dispose();
        (OutputGradient, IsLive) = (null, false);
    }

    /// <summary>A copy of the outputs of the first examples, where they are kept.</summary>
    public Tensor? FirstOutputs { get; private set; }

    /// <summary>Keeps a copy of the first outputs.</summary>
    public void KeepOutputs(Tensor output, long most) =>
        FirstOutputs = output.narrow(0, 0, Math.Min(most, output.shape[0])).clone().DetachFromDisposeScope();

    /// <summary>Frees what is kept of the batch.</summary>
    public void Release()
    {
        Forget();
        Input?.Dispose();
        FirstOutputs?.Dispose();
        Target?.Dispose();
        (Input, FirstOutputs, Target) = (null, null, null);
    }

    /// <summary>Frees sums that were not handed over.</summary>
    public void ReleaseSums()
    {
        foreach (var t in _sums.SelectMany(s => s.Sums.Sums))
            t?.Dispose();
        _sums = [];
    }

    /// <summary>Takes note of one more use of a block.</summary>
    /// <param name="block">The block.</param>
    /// <param name="input">What the layer is given.</param>
    /// <param name="exampleDimensions">The dimensions that the layer's input has for one example, if it is known.</param>
    public void Uses(CurvatureBlock block, Tensor input, int? exampleDimensions)
    {
        _uses[block] = _uses.GetValueOrDefault(block) + 1;
        IsUnbatched |= input.dim() == exampleDimensions && inputs.Any(i => i.AsSpan().SequenceEqual(input.shape));
    }

    /// <summary>How often a block was used so far.</summary>
    public int UsesOf(CurvatureBlock block) => _uses[block];

    /// <summary>Keeps sums until it is known whether the pass counts; takes ownership.</summary>
    public void Keep(CurvatureBlock block, BlockSums sums)
    {
        foreach (var t in sums.Sums)
            t?.DetachFromDisposeScope();
        _sums.Add((block, sums));
    }

    /// <summary>Hands the kept sums to their blocks.</summary>
    public void HandOver()
    {
        foreach (var (block, sums) in _sums)
            block.Accumulate(sums);
        _sums = [];
    }
}

/// <summary>One call of one layer: its input, and the gradient at its output where more of it may follow.</summary>
/// <param name="block">Of the layer.</param>
/// <param name="input">Detached; owned.</param>
/// <param name="pass">The model's forward pass.</param>
/// <param name="isJet">Whether input and output are stacks [C, n, ..] of the components of a jet, each the use of an example at another
/// position, and the first alone with the bias.</param>
internal sealed class LayerUse(CurvatureBlock block, Tensor input, ForwardPass pass, bool isJet)
{
    private Tensor? _gradient;

    public CurvatureBlock Block => block;

    /// <summary>Detached; disposed once measured.</summary>
    public Tensor Input => input;

    public ForwardPass Pass => pass;

    public bool IsJet => isJet;

    /// <summary>What arrived in earlier backward passes through the same graph.</summary>
    public Tensor? Gradient => _gradient;

    /// <summary>Adds to <see cref="Gradient"/>; of a copy, for autograd may go on to write to what it shows.</summary>
    public void Hold(Tensor gradient)
    {
        if (_gradient is { } held)
            held.add_(gradient);
        else
            _gradient = gradient.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>The gradient counts no longer.</summary>
    public void Forget()
    {
        _gradient?.Dispose();
        _gradient = null;
    }

    /// <summary>Frees what it holds.</summary>
    public void Release()
    {
        Forget();
        input.Dispose();
    }
}
