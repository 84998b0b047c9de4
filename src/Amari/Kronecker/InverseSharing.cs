using System.Text.Json;
using Amari.Distributed;

namespace Amari.Kronecker;

/// <summary>K-FAC over ranks: factors added up, inverses shared out as in KAISA (Pauloski et al. 2021, arXiv:2107.01739).</summary>
/// <remarks><code>
/// grid of g rows and N/g columns, g the largest divisor of N that is ≤ max(1, f N)          f: the share of ranks that hold an inverse
/// a layer belongs to one rank: largest n_in³ + n_out³ first, to the rank with the least; the ranks of its column hold its inverse
/// every refresh: the owner's inverse to its column;   every step: U = F⁻¹ V from the holder in each row to that row
/// </code>
/// f = 0 is memory-lean (each inverse once, U sent every step), f = 1 communication-lean (inverses everywhere, U never sent).</remarks>
internal sealed class InverseSharing : IDisposable
{
    private readonly Communicator _world;
    private readonly Communicator? _column,
        _row;
    private readonly int _columns;
    private readonly double[] _loads;
    private readonly Dictionary<CurvatureBlock, int> _owners = [];
    private readonly HashSet<CurvatureBlock> _inverted = [];

    /// <param name="world">Not owned.</param>
    /// <param name="fraction">f.</param>
    public InverseSharing(Communicator world, double fraction)
    {
        _world = world;
        int holders = Holders(world.Size, fraction);
        _columns = world.Size / holders;
        _loads = new double[world.Size];
        if (holders > 1)
            _column = world.Split(world.Rank % _columns);
        if (_columns > 1)
            _row = world.Split(world.Rank / _columns);
    }

    /// <summary>How many ranks hold an inverse.</summary>
    public static int Holders(int ranks, double fraction) =>
        Enumerable.Range(1, ranks).Last(g => ranks % g == 0 && g <= Math.Max(1, fraction * ranks + 1e-9));

    /// <summary>All ranks.</summary>
    public Communicator World => _world;

    public int Rank => _world.Rank;

    /// <summary>Whether every rank holds every inverse.</summary>
    public bool IsEverywhere => _columns == 1;

    private int Column => _world.Rank % _columns;

    private int Owner(CurvatureBlock block) => _owners[block];

    /// <summary>Whether this rank keeps the block's inverse.</summary>
    public bool Holds(CurvatureBlock block) => Owner(block) % _columns == Column;

    /// <summary>Whether the holders have an inverse.</summary>
    public bool HasInverse(CurvatureBlock block) => _inverted.Contains(block);

    /// <summary>The work of all blocks by rank, in multiply-adds: for reports.</summary>
    public IReadOnlyList<double> Loads => _loads;

    /// <summary>Gives blocks without an owner one.</summary>
    public void Assign(IEnumerable<CurvatureBlock> blocks)
    {
        foreach (
            var block in blocks
                .Where(b => !_owners.ContainsKey(b))
                .Select(b => (Block: b, b.InverseCost))
                .OrderByDescending(b => b.InverseCost)
                .ToList()
        )
        {
            int owner = Array.IndexOf(_loads, _loads.Min());
            _owners[block.Block] = owner;
            _loads[owner] += block.InverseCost;
        }
    }

    /// <summary>Adds the blocks' sums over ranks.</summary>
    /// <param name="world">The ranks.</param>
    /// <param name="blocks">All, the same on every rank.</param>
    /// <param name="terms">This rank's terms.</param>
    /// <param name="scaled">Whether gradients in the sums are divided by this rank's number of terms, as those of a mean loss are.</param>
    /// <param name="finite">Whether this rank's outputs were finite.</param>
    /// <returns>The terms of all ranks, and whether all were finite; if not, nothing was added up.</returns>
    public static (long Terms, bool Finite) Reduce(
        Communicator world,
        IReadOnlyList<CurvatureBlock> blocks,
        long terms,
        bool finite,
        bool scaled = false
    )
    {
        using var scope = NewDisposeScope();
        if (scaled && terms > 0)
            foreach (var block in blocks)
                block.ScalePending((double)terms * terms);
        double[] sums = world.Sum([
            terms,
            finite ? 0 : 1,
            .. blocks.Select(b => b.PendingRows),
            .. blocks.Select(b => b.HasPending ? 1.0 : 0),
            .. blocks.Select(b => b.HasMoments ? 1.0 : 0),
        ]);
        if (sums[1] > 0)
            return ((long)sums[0], false);
        var present = blocks.Where((_, i) => sums[2 + blocks.Count + i] > 0).ToList();
        foreach (var (block, i) in blocks.Select((b, i) => (b, i)).Where(b => present.Contains(b.b)))
            block.CompletePending(sums[2 + 2 * blocks.Count + i] > 0);
        var under = present.SelectMany(b => b.Pending).Select(t => world.BeginAllReduce(t)).ToList();
        foreach (var reduction in under)
            reduction.Wait();
        for (int i = 0; i < blocks.Count; i++)
            blocks[i].PendingRows = sums[2 + i];
        return ((long)sums[0], true);
    }

    /// <summary>New inverses of the blocks for their holders.</summary>
    /// <param name="blocks">All, the same on every rank.</param>
    /// <param name="damping">Of a block.</param>
    /// <param name="settings">How they are made.</param>
    /// <param name="inverter">Makes them.</param>
    /// <returns>What failed, on every rank.</returns>
    public List<(CurvatureBlock Block, string Message)> Refresh(
        IReadOnlyList<CurvatureBlock> blocks,
        Func<CurvatureBlock, DampingSettings> damping,
        InverseSettings settings,
        FactorInverter inverter
    )
    {
        if (blocks.Count == 0)
            return [];
        Assign(blocks);
        var reports = new List<(CurvatureBlock, string)>();
        bool shared = settings.Work == InverseWork.Broadcast;
        var own = blocks
            .Where(b => shared ? Owner(b) == Rank : Holds(b))
            .ToDictionary(b => b, b => b.Refresh(damping(b), inverter, settings.Precision).ToList());
        foreach (var block in blocks)
        {
            var header = Header.From(_world.Broadcast(Owner(block) == Rank ? Header.Of(block, own[block]).ToString() : null, Owner(block)));
            reports.AddRange(header.Messages.Select(m => (block, m)));
            if (shared && _column is not null && Holds(block))
                Share(block, header, _column, Owner(block) / _columns);
            _inverted.Add(block);
        }
        return reports;
    }

    private void Share(CurvatureBlock block, Header header, Communicator ranks, int root)
    {
        using var scope = NewDisposeScope();
        var tensors = Send(block, header, ranks, root);
        if (Owner(block) != Rank)
            block.Adopt(tensors.GetValueOrDefault);
    }

    private static Dictionary<string, Tensor> Send(CurvatureBlock block, Header header, Communicator ranks, int root)
    {
        var mine = ranks.Rank == root ? block.Inverse!.Tensors().ToDictionary(t => t.Name, t => t.Tensor) : null;
        var result = new Dictionary<string, Tensor>();
        foreach (var (name, (type, shape)) in header.Tensors)
        {
            result[name] = mine is null ? empty(shape, dtype: type) : mine[name];
            ranks.BroadcastAny(result[name], root);
        }
        return result;
    }

    /// <summary>U of a block on every rank from those that hold its inverse.</summary>
    /// <param name="block">The block.</param>
    /// <param name="v">V, the same on every rank.</param>
    /// <param name="damping">Of the block.</param>
    public Tensor Precondition(CurvatureBlock block, Tensor v, DampingSettings damping)
    {
        if (_row is null)
            return block.Precondition(v, damping);
        var u = Holds(block) ? block.Precondition(v, damping).contiguous() : empty_like(v).contiguous();
        _row.Broadcast(u, Owner(block) % _columns);
        return u;
    }

    /// <summary>The tensors of an inverse on every rank, for saving: temporary where this rank does not hold it.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Saved(CurvatureBlock block)
    {
        if (IsEverywhere || !HasInverse(block))
            return block.Inverse?.Tensors() ?? [];
        int owner = Owner(block);
        var header = Header.From(_world.Broadcast(owner == Rank ? Header.Of(block, []).ToString() : null, owner));
        return Send(block, header, _world, owner).Select(t => (t.Key, t.Value));
    }

    /// <summary>After a restore on every rank: notes which blocks have an inverse, and drops what this rank does not hold.</summary>
    public void Restored(IReadOnlyList<CurvatureBlock> blocks)
    {
        Assign(blocks.Where(b => b.IsMeasured));
        _inverted.Clear();
        foreach (var block in blocks.Where(b => b.Inverse is not null))
        {
            _inverted.Add(block);
            if (!Holds(block))
                block.Drop();
        }
    }

    public void Dispose()
    {
        _column?.Dispose();
        _row?.Dispose();
    }

    private sealed record SentTensor(ScalarType Type, long[] Shape);

    /// <summary>What an owner says of an inverse.</summary>
    private sealed record Header(IReadOnlyDictionary<string, SentTensor> Tensors, IReadOnlyList<string> Messages)
    {
        public static Header Of(CurvatureBlock block, IReadOnlyList<string> messages) =>
            new(block.Inverse!.Tensors().ToDictionary(t => t.Name, t => new SentTensor(t.Tensor.dtype, t.Tensor.shape)), messages);

        public static Header From(string text) => JsonSerializer.Deserialize<Header>(text)!;

        public override string ToString() => JsonSerializer.Serialize(this);
    }
}
