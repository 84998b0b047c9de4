using System.Collections.Concurrent;
using Amari.Kronecker;

namespace Amari;

/// <summary>Which layer kind gets which block; every other parameter gets the reason why it has none.</summary>
public static class BlockCatalog
{
    private static readonly ConcurrentDictionary<Type, Func<nn.Module, KroneckerLayer>> Registered = [];

    /// <summary>Gives a kind of layers of one's own a Kronecker-factored block, in every K-FAC optimizer made from then on; a kind that
    /// is known already is seen this way instead.</summary>
    /// <remarks>Layers of one tensor to one tensor that are linear in their weight (<see cref="KroneckerLayer"/>), and no others: a block
    /// of another form, or a layer of several tensors, is made inside the library.</remarks>
    /// <typeparam name="TLayer">The layer's type itself, not a base of it.</typeparam>
    /// <param name="describe">Says how K-FAC sees a layer; called once for each.</param>
    public static void Register<TLayer>(Func<TLayer, KroneckerLayer> describe)
        where TLayer : nn.Module<Tensor, Tensor>
    {
        ArgumentNullException.ThrowIfNull(describe);
        Registered[typeof(TLayer)] = layer => describe((TLayer)layer);
    }

    /// <summary>The blocks of a layer, or why there is none.</summary>
    /// <param name="name">The layer's name in the model.</param>
    /// <param name="layer">Not owned.</param>
    /// <param name="isChosen">Whether a parameter is meant.</param>
    private static (IReadOnlyList<CurvatureBlock> Blocks, string Reason) For(string name, nn.Module layer, Func<Parameter?, bool> isChosen)
    {
        if (Registered.TryGetValue(layer.GetType(), out var describe))
        {
            var description = describe(layer);
            var weight =
                layer.get_parameter(description.Weight)
                ?? throw new ArgumentException(
                    $"The layer {name} has no parameter '{description.Weight}', which its registration names; it has "
                        + $"{string.Join(", ", layer.named_parameters(recurse: false).Select(p => p.name))}.",
                    nameof(layer)
                );
            return Of(
                weight,
                description.Kind,
                () => new DescribedBlock(name, layer, description, description.Bias is { } bias && isChosen(layer.get_parameter(bias)))
            );
        }
        return layer switch
        {
            Linear l => Of(l.weight, "linear layer", () => new LinearBlock(name, l, isChosen(l.bias))),
            Convolution l => Of(
                l.weight,
                $"{l.weight!.dim() - 2}-D {(l.transposed ? "transposed " : "")}convolution",
                () => new ConvolutionBlock(name, l, isChosen(l.bias))
            ),
            Embedding l => Of(l.get_parameter("weight"), "embedding", () => new EmbeddingBlock(name, l)),
            LayerNorm l => Of(l.weight, "layer norm", () => new NormBlock(name, l, isChosen(l.bias))),
            GroupNorm l => Of(l.weight, "group norm", () => new NormBlock(name, l, isChosen(l.bias))),
            TorchSharp.Modules.BatchNorm l => Of(l.weight, "batch norm", () => new NormBlock(name, l, isChosen(l.bias))),
            MultiheadAttention l => NativeAttention.Blocks(name, l, isChosen),
            LSTM or GRU or TorchSharp.Modules.RNN or LSTMCell or GRUCell or RNNCell => (
                [],
                $"the {layer.GetType().Name} hides its projections in one native call: build it of Linear layers, which have blocks"
            ),
            _ => ([], $"no K-FAC block for a parameter of {layer.GetType().Name}"),
        };

        (IReadOnlyList<CurvatureBlock>, string) Of(Parameter? weight, string kind, Func<CurvatureBlock> make) =>
            isChosen(weight)
                ? ([make()], kind)
                : ([], weight is { requires_grad: false } ? "the layer's weight is frozen" : "the layer's weight is left out");
    }

    /// <summary>The blocks of a model's layers, and a row for every chosen parameter, by name: its block, or the reason why it has
    /// none.</summary>
    /// <remarks>A weight in several layers that do the same with it (<see cref="IsAlike"/>) is one block of all their uses, as one layer
    /// used several times is: A and G are sums over the uses. If their biases differ, the block is the weight's alone. Other tied
    /// parameters have no block: their uses differ in form.</remarks>
    /// <param name="model">Not owned.</param>
    /// <param name="parameters">The chosen parameters, each once.</param>
    /// <param name="otherwise">What stands for a block where there is none.</param>
    internal static (List<(CurvatureBlock Block, nn.Module Layer)> Layers, Dictionary<string, CoverageRow> Rows) Match(
        nn.Module model,
        IReadOnlyList<(string Name, Parameter Parameter)> parameters,
        string otherwise
    )
    {
        var byHandle = parameters.ToDictionary(p => p.Parameter.Handle, p => p.Name);
        var modules = model
            .named_modules()
            .Select(m => (m.name, m.module))
            .Append((name: "", module: model))
            .DistinctBy(m => m.module, ReferenceEqualityComparer.Instance)
            .ToList();
        var owners = modules
            .SelectMany(m => m.module.named_parameters(recurse: false).Select(p => (p.parameter.Handle, Owner: m)))
            .ToLookup(p => p.Handle, p => p.Owner);
        var rows = new Dictionary<string, CoverageRow>();
        var layers = new List<(CurvatureBlock, nn.Module)>();
        var shared = new Dictionary<nint, CurvatureBlock>(); // by the handle of a weight in several layers
        foreach (var (name, module) in modules)
        {
            var own = module.named_parameters(recurse: false).Select(p => p.parameter.Handle).Where(byHandle.ContainsKey).ToList();
            if (own.Count == 0)
                continue;
            var (blocks, reason) = For(name, module, IsChosen);
            if (blocks.Count > 0 && own.Find(h => owners[h].Count() > 1) is var tied and not 0)
            {
                foreach (var block in blocks)
                    block.Dispose();
                blocks = [];
                var uses = owners[tied].ToList();
                string names = string.Join(" and ", uses.Select(u => u.name).Order(StringComparer.Ordinal));
                if (uses.TrueForAll(u => IsAlike(module, u.module) && u.module.get_parameter("weight")!.Handle == tied))
                {
                    bool IsCommon(Parameter? p) => p is not null && owners[p.Handle].Count() == uses.Count;
                    if (!shared.TryGetValue(tied, out var one))
                        shared[tied] = one = For(name, module, p => IsChosen(p) && IsCommon(p)).Blocks.Single();
                    blocks = [one];
                    reason += $", tied: the uses of {names} are summed";
                    foreach (nint handle in own.Where(h => owners[h].Count() != uses.Count))
                        rows[byHandle[handle]] = new(
                            byHandle[handle],
                            otherwise,
                            $"the bias of one of the layers {names}, which share a weight"
                        );
                }
                else
                    reason = $"tied: used by the layers {names}, which do not do the same with it";
            }
            var kinds = blocks.SelectMany(b => b.Parameters.Select(p => (p.Handle, b.Kind))).ToDictionary(p => p.Handle, p => p.Kind);
            foreach (nint handle in own)
                if (blocks.Count == 0 || kinds.ContainsKey(handle))
                    rows[byHandle[handle]] = new(byHandle[handle], kinds.GetValueOrDefault(handle, otherwise), reason);
            layers.AddRange(blocks.Select(b => (b, module)));
        }
        foreach (var (name, _) in parameters)
            rows.TryAdd(name, new(name, otherwise, "a parameter of no layer"));
        return (layers, rows);

        bool IsChosen(Parameter? p) => p is { requires_grad: true } && byHandle.ContainsKey(p.Handle);
    }

    /// <summary>Whether two layers do the same with a weight that both have, so that one block may see the uses of both.</summary>
    internal static bool IsAlike(nn.Module a, nn.Module b) =>
        (a, b) switch
        {
            (Linear, Linear) or (Embedding, Embedding) => true,
            (Convolution x, Convolution y) => x.transposed == y.transposed
                && x.groups == y.groups
                && x.padding_mode == y.padding_mode
                && x.padding_type == y.padding_type
                && Same(x.stride, y.stride)
                && Same(x.dilation, y.dilation)
                && Same(x.padding, y.padding)
                && Same(x.output_padding, y.output_padding),
            _ => false,
        };

    private static bool Same(long[]? a, long[]? b) => a is null ? b is null : b is not null && a.SequenceEqual(b);
}
