using Amari.Kernels;
using Amari.Native;

namespace Amari.Spectrum;

/// <summary>The vectors and the projection of one Lanczos recurrence, orthogonal to rounding.</summary>
/// <remarks><code>
/// C V = V T + β v₊ eₘ'          V : [d, m], V'V = I + E, T symmetric
/// w = C vⱼ,   α = vⱼ'w,   β v₊ = w - Σᵢ cᵢ vᵢ
/// cᵢ = tᵢⱼ + Σₖ tᵢₖ eₖⱼ - α eᵢⱼ - tⱼ₋₁ⱼ eᵢⱼ₋₁      the part of w along vᵢ, from the recurrence (Simon 1984)
/// </code>
/// The measured E of the last two vectors predicts how much of each older one C brings back. So one read of V both takes that away and
/// measures what is left; more reads follow only of the vectors where it is above rounding. The vectors lie in the tiles of
/// <see cref="RowSweep"/>, in the dispose scope of the constructor's caller.</remarks>
internal sealed class KrylovBasis
{
    private const int MaxPasses = 4;
    private const double Rounding = 16; // in units of the dtype's: what may be left along a vector

    private readonly long _dimension;
    private readonly double _epsilon;
    private readonly Tensor _tiles; // [n, k, b]
    private readonly double[] _along; // w along each vector: predicted, then measured
    private double[] _lost, // E of the last vector, and of the one before
        _lostBefore;

    /// <param name="count">k: how many vectors there will be.</param>
    /// <param name="dimension">d.</param>
    /// <param name="type">Their dtype.</param>
    /// <param name="device">Their device.</param>
    public KrylovBasis(int count, long dimension, ScalarType type, Device device)
    {
        _dimension = dimension;
        _epsilon = finfo(type).eps;
        long width = RowSweep.TileWidth(dimension);
        _tiles = empty([(dimension + width - 1) / width, count, width], dtype: type, device: device);
        NativeHeap.UseLargePages(_tiles);
        using (var last = _tiles[-1])
            last.zero_();
        (_along, _lost, _lostBefore) = (new double[count], new double[count], new double[count]);
        T = new double[count, count];
    }

    /// <summary>T.</summary>
    public double[,] T { get; }

    /// <summary>How many vectors were read.</summary>
    public long Reads { get; private set; }

    /// <summary>Makes a vector the one of index j: orthogonal to those before and of length 1.</summary>
    /// <param name="j">Its index.</param>
    /// <param name="start">[d], not 0; becomes the vector.</param>
    public void Set(int j, Tensor start)
    {
        Array.Clear(_along);
        Add(j, start, Orthogonalise(j, start));
    }

    /// <summary>Adds the next vector, of index j + 1, if there is room for it.</summary>
    /// <param name="j">The index of the last vector.</param>
    /// <param name="v">vⱼ, as it was left by <see cref="Set"/> or this method.</param>
    /// <param name="w">C vⱼ; becomes the next vector.</param>
    /// <returns>β; 0 if V is invariant up to rounding, and then there is no next vector; NaN if a number is not finite.</returns>
    public double Extend(int j, Tensor v, Tensor w)
    {
        double alpha = InnerProducts.Dot(v, w);
        T[j, j] = alpha;
        if (!double.IsFinite(alpha))
            return double.NaN;
        Predict(j, alpha);
        double beta = Orthogonalise(j + 1, w);
        if (beta <= 10 * _epsilon * Scale(j + 1))
            return 0;
        if (double.IsFinite(beta) && j + 1 < _lost.Length)
        {
            T[j, j + 1] = T[j + 1, j] = beta;
            Add(j + 1, w, beta);
        }
        return beta;
    }

    /// <summary>V ← (V S, v₊), and T ← the arrow of their values and couplings.</summary>
    /// <param name="s">S' : [l, m].</param>
    /// <param name="values">The diagonal of T, l numbers.</param>
    /// <param name="couplings">The entries of T between them and v₊, l numbers.</param>
    public void Restart(Tensor s, double[] values, double[] couplings)
    {
        int l = values.Length,
            m = (int)s.shape[1];
        Rotate(s);
        using (Tensor next = _tiles.select(1, m), place = _tiles.select(1, l))
            place.copy_(next);
        double[] rotation = s.Elements<double>(),
            lost = new double[_lost.Length];
        Array.Clear(T);
        for (int i = 0; i < l; i++)
        {
            T[i, i] = values[i];
            T[i, l] = T[l, i] = couplings[i];
            for (int k = 0; k < m; k++)
                lost[i] += rotation[i * m + k] * _lost[k];
        }
        _lost = lost;
        Array.Clear(_lostBefore);
    }

    /// <summary>Replaces the first vectors by those of V S, tile by tile, so that no second basis is needed.</summary>
    /// <param name="s">S' : [l, m].</param>
    public void Rotate(Tensor s)
    {
        using var scope = NewDisposeScope();
        var rotation = s.to(_tiles.dtype, _tiles.device).contiguous();
        for (long i = 0; i < _tiles.shape[0]; i++)
        {
            using var inner = NewDisposeScope();
            var tile = _tiles[i];
            tile.narrow(0, 0, s.shape[0]).copy_(rotation.MatrixProduct(tile.narrow(0, 0, s.shape[1])));
        }
    }

    /// <summary>A copy of the first vectors, as rows: [count, d].</summary>
    public Tensor Vectors(int count)
    {
        using var scope = NewDisposeScope();
        var vectors = empty([count, _dimension], dtype: _tiles.dtype, device: _tiles.device);
        for (int i = 0; i < count; i++)
            foreach (var (tiles, part) in Parts(i, vectors[i]))
                part.copy_(tiles);
        return vectors.MoveToOuterDisposeScope();
    }

    /// <summary>The first rows and columns of T.</summary>
    public double[,] Leading(int size)
    {
        var part = new double[size, size];
        for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            part[i, j] = T[i, j];
        return part;
    }

    /// <summary>The largest entry of T so far: the size of C up to a factor.</summary>
    private double Scale(int size)
    {
        double scale = 0;
        for (int i = 0; i < size; i++)
        for (int j = 0; j <= i; j++)
            scale = Math.Max(scale, Math.Abs(T[i, j]));
        return scale;
    }

    private void Predict(int j, double alpha)
    {
        double before = j > 0 ? T[j - 1, j] : 0,
            last = alpha;
        for (int i = 0; i < j; i++)
        {
            double c = T[i, j] - alpha * _lost[i] - before * _lostBefore[i];
            for (int k = 0; k < j; k++)
                c += T[i, k] * _lost[k];
            _along[i] = c;
            last -= _lost[i] * c;
        }
        _along[j] = last;
    }

    /// <summary>w ← w - V c for the predicted c and the first vectors, then again for what is left. Returns its length.</summary>
    private double Orthogonalise(int count, Tensor w)
    {
        double length = Sweep(w, [.. Enumerable.Range(0, count)]);
        for (int pass = 1; pass < MaxPasses; pass++)
        {
            double bound = Rounding * _epsilon * length;
            int[] left = [.. Enumerable.Range(0, count).Where(i => Math.Abs(_along[i]) > bound)];
            if (left.Length == 0)
                break;
            length = Sweep(w, left);
        }
        return length;
    }

    /// <summary>Takes from w what it has along the chosen vectors, and measures what is left there. Returns its length.</summary>
    private double Sweep(Tensor w, int[] chosen)
    {
        Reads += chosen.Length;
        if (RowSweep.IsUsable(_tiles, w))
            return Math.Sqrt(RowSweep.Run(_tiles, chosen, _along, w, _along));
        using var scope = NewDisposeScope();
        foreach (var (first, count) in Runs(chosen))
        {
            var c = tensor(_along.AsSpan(first, count).ToArray()).to(w.dtype, w.device).view(1, 1, -1).expand(_tiles.shape[0], 1, count);
            w.sub_(c.bmm(_tiles.narrow(1, first, count)).reshape(-1).narrow(0, 0, _dimension));
        }
        var padded = zeros(_tiles.shape[0] * _tiles.shape[2], dtype: w.dtype, device: w.device);
        padded.narrow(0, 0, _dimension).copy_(w);
        foreach (var (first, count) in Runs(chosen))
        {
            var along = _tiles.narrow(1, first, count).bmm(padded.view(_tiles.shape[0], -1, 1)); // [n, count, 1]
            along.to_type(ScalarType.Float64).sum(dim: 0).Elements<double>().CopyTo(_along, first);
        }
        return Probes.Length(w).ToDouble();
    }

    /// <summary>Runs of successive indices.</summary>
    private static IEnumerable<(int First, int Count)> Runs(int[] chosen)
    {
        for (int start = 0, end; start < chosen.Length; start = end)
        {
            for (end = start + 1; end < chosen.Length && chosen[end] == chosen[end - 1] + 1; end++) { }
            yield return (chosen[start], end - start);
        }
    }

    private void Add(int j, Tensor w, double length)
    {
        w.div_(length);
        using (NewDisposeScope())
            foreach (var (tiles, part) in Parts(j, w))
                tiles.copy_(part);
        (_lost, _lostBefore) = (_lostBefore, _lost);
        for (int i = 0; i < j; i++)
            _lost[i] = _along[i] / length;
    }

    /// <summary>The whole tiles of vector j and the rest, with the same parts of another vector [d].</summary>
    private IEnumerable<(Tensor Tiles, Tensor Part)> Parts(int j, Tensor vector)
    {
        long width = _tiles.shape[2],
            whole = _dimension / width;
        yield return (_tiles.narrow(0, 0, whole).select(1, j), vector.narrow(0, 0, whole * width).reshape(whole, width));
        if (whole < _tiles.shape[0])
            yield return (
                _tiles[whole][j].narrow(0, 0, _dimension - whole * width),
                vector.narrow(0, whole * width, _dimension - whole * width)
            );
    }
}
