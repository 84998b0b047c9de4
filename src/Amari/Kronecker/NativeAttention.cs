using Amari.Native;

namespace Amari.Kronecker;

/// <summary>TorchSharp's <c>MultiheadAttention</c>, one native call that shows nothing of its inside, once more in steps of our own with
/// the same parameters (Vaswani et al. 2017, arXiv:1706.03762).</summary>
/// <remarks><code>
/// x = (q, k, v) : [n, r, 3, E],   s = x W_in' + b_in    the three projections, a block of three groups
/// P = softmax(s_q s_k' / √d + mask) of each head,   c = P s_v
/// y = c W_out' + b_out                                  another block
/// </code>
/// The module does not tell its number of heads: it is the one that gives the native call's output. A call that no number gives, as with
/// dropout in training mode, is left as it is, and its parameters go without blocks. Queries, keys and values are [r, n, E].</remarks>
internal sealed class NativeAttention(MultiheadAttention module)
{
    private const string In = "in_proj",
        Out = "out_proj";
    private const double Near = 10; // in √ε of the dtype, relative to the largest output
    private long _heads = 1;

    /// <summary>What its arguments are.</summary>
    internal readonly record struct Call(
        Tensor Query,
        Tensor Key,
        Tensor Value,
        Tensor? KeyPaddingMask,
        bool NeedsWeights,
        Tensor? AttentionMask
    );

    /// <summary>The blocks of a module's chosen parameters; none, and why, where it has others than the usual four.</summary>
    public static (IReadOnlyList<CurvatureBlock> Blocks, string Reason) Blocks(
        string name,
        MultiheadAttention module,
        Func<Parameter?, bool> isChosen
    )
    {
        var own = module.named_parameters(recurse: false).ToDictionary(p => p.name, p => p.parameter);
        if (own.Keys.Any(k => k is not ("in_proj_weight" or "in_proj_bias" or "out_proj.weight" or "out_proj.bias")))
            return (
                [],
                "attention in one native call, with keys and values of other widths or with biases of their own: build it of Linear "
                    + "layers, which have blocks"
            );
        List<CurvatureBlock> blocks = [];
        if (isChosen(own["in_proj_weight"]))
            blocks.Add(
                new DescribedBlock(
                    $"{name}.{In}",
                    module,
                    new("attention projections", "in_proj_weight", "in_proj_bias", ByGroup, ByGroup, 3),
                    isChosen(own.GetValueOrDefault("in_proj_bias"))
                )
            );
        if (isChosen(own["out_proj.weight"]))
            blocks.Add(
                new DescribedBlock(
                    $"{name}.{Out}",
                    module,
                    new("attention output", "out_proj.weight", "out_proj.bias", x => x, g => g),
                    isChosen(own.GetValueOrDefault("out_proj.bias"))
                )
            );
        return (blocks, "attention");

        static Tensor ByGroup(Tensor x) => x.permute(2, 0, 1, 3);
    }

    /// <summary>Why the last call could not be repeated; null while all could.</summary>
    public string? Hidden { get; private set; }

    /// <summary>The call's result, by steps.</summary>
    /// <param name="call">The arguments.</param>
    /// <param name="result">What the module gave.</param>
    /// <param name="blocks">Of <see cref="Blocks"/>.</param>
    /// <param name="seen">Sees a block's use: input and output, which it returns.</param>
    public Tuple<Tensor, Tensor> Again(
        Call call,
        Tuple<Tensor, Tensor> result,
        IReadOnlyList<CurvatureBlock> blocks,
        Func<CurvatureBlock, Tensor, Tensor, Tensor> seen
    )
    {
        if (Hidden is not null)
            return result;
        using (no_grad())
        using (NewDisposeScope())
        {
            if (
                call.Query.dim() != 3
                || !call.Key.shape.SequenceEqual(call.Query.shape)
                || !call.Value.shape.SequenceEqual(call.Query.shape)
            )
                Hidden = "attention in one native call, queries and keys of different shapes: build it of Linear layers, which have blocks";
            else if (!result.Item1.isfinite().all().ToBoolean())
                return result;
            else if (!Gives(_heads) && (_heads = Candidates().FirstOrDefault(Gives)) == 0)
                Hidden =
                    "attention in one native call, whose output is not what its parameters say (dropout inside it?): build it of Linear "
                    + "layers, which have blocks";
        }
        if (Hidden is { } why)
        {
            foreach (var block in blocks)
                block.Unseen = why;
            return result;
        }
        using var scope = NewDisposeScope();
        var (output, weights) = Steps(
            call,
            _heads,
            (role, x, s) => blocks.FirstOrDefault(b => b.Name.EndsWith(role, StringComparison.Ordinal)) is { } block ? seen(block, x, s) : s
        );
        return new(output.MoveToOuterDisposeScope(), call.NeedsWeights ? weights.mean([1]).MoveToOuterDisposeScope() : result.Item2);

        IEnumerable<long> Candidates()
        {
            long width = call.Query.shape[2];
            for (long h = 1; h <= width; h++)
                if (width % h == 0)
                    yield return h;
        }

        bool Gives(long heads)
        {
            using var inner = NewDisposeScope();
            var (y, native) = (Steps(call, heads, (_, _, s) => s).Output, result.Item1);
            return (y - native).abs().max().ToDouble() <= Near * Math.Sqrt(finfo(y.dtype).eps) * native.abs().max().ToDouble();
        }
    }

    private (Tensor Output, Tensor Weights) Steps(Call call, long heads, Func<string, Tensor, Tensor, Tensor> seen)
    {
        var (w, b) = (module.get_parameter("in_proj_weight")!, module.get_parameter("in_proj_bias"));
        var x = stack([call.Query, call.Key, call.Value], 2).transpose(0, 1); // [n, r, 3, E]
        var (n, r, width) = (x.shape[0], x.shape[1], x.shape[3]);
        var s = x.permute(2, 0, 1, 3).reshape(3, n * r, width).MatrixProduct(w.view(3, width, width).mT);
        if (b is not null)
            s = s + b.view(3, 1, width);
        s = seen(In, x, s.view(3, n, r, width).permute(1, 2, 0, 3).contiguous());
        Tensor Heads(int which) => s.select(2, which).reshape(n, r, heads, width / heads).transpose(1, 2); // [n, heads, r, d]
        var scores = Heads(0).MatrixProduct(Heads(1).mT) / Math.Sqrt((double)width / heads);
        if (call.AttentionMask is { } mask)
            scores = scores + mask;
        if (call.KeyPaddingMask is { } padding)
            scores = scores.masked_fill(padding.view(n, 1, 1, r).to_type(ScalarType.Bool), double.NegativeInfinity);
        var weights = scores.softmax(-1);
        var c = weights.MatrixProduct(Heads(2)).transpose(1, 2).reshape(n, r, width);
        var y = seen(Out, c, nn.functional.linear(c, module.get_parameter("out_proj.weight")!, module.get_parameter("out_proj.bias")));
        return (y.transpose(0, 1), weights);
    }
}
