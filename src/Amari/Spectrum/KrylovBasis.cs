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
/// measures what is left; more reads follow only where it is above rounding.</remarks>
/// <param name="rows">V', one vector in each row: [m, d]; not owned.</param>
internal sealed class KrylovBasis(Tensor rows)
{
    private const int MaxPasses = 4;
    private const double Rounding = 16; // in units of the dtype's: what may be left along a vector

    private readonly double _epsilon = finfo(rows.dtype).eps;
    private double[] _lost = new double[rows.shape[0]], // E of the last vector, and of the one before
        _lostBefore = new double[rows.shape[0]],
        _coefficients = new double[rows.shape[0]],
        _along = new double[rows.shape[0]];

    /// <summary>T.</summary>
    public double[,] T { get; } = new double[rows.shape[0], rows.shape[0]];

    /// <summary>How often the vectors were read.</summary>
    public int Reads { get; private set; }

    /// <summary>Vector j : [d].</summary>
    public Tensor this[int j] => rows[j];

    /// <summary>Puts a vector in row j, orthogonal to the rows before and of length 1.</summary>
    /// <param name="j">Its index.</param>
    /// <param name="start">[d], not 0; changed in place.</param>
    public void Set(int j, Tensor start)
    {
        Array.Clear(_coefficients);
        Add(j, start, Orthogonalise(j, start));
    }

    /// <summary>Adds the next vector, in row j + 1 if there is one.</summary>
    /// <param name="j">The index of the last vector.</param>
    /// <param name="w">C vⱼ; changed in place.</param>
    /// <returns>β; 0 if V is invariant up to rounding, and then there is no next vector; NaN if a number is not finite.</returns>
    public double Extend(int j, Tensor w)
    {
        using var last = rows[j];
        double alpha = InnerProducts.Dot(last, w);
        T[j, j] = alpha;
        if (!double.IsFinite(alpha))
            return double.NaN;
        Predict(j, alpha);
        double beta = Orthogonalise(j + 1, w);
        if (beta <= 10 * _epsilon * Scale(j + 1))
            return 0;
        if (double.IsFinite(beta) && j + 1 < rows.shape[0])
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
        int l = values.Length;
        Rotate(s);
        using (var next = rows[s.shape[1]])
            rows[l].copy_(next);
        Array.Clear(T);
        Array.Clear(_lost);
        Array.Clear(_lostBefore);
        for (int i = 0; i < l; i++)
        {
            T[i, i] = values[i];
            T[i, l] = T[l, i] = couplings[i];
        }
    }

    /// <summary>Replaces the first rows by those of S V', a few columns at a time, so that no second basis is needed.</summary>
    /// <param name="s">S : [l, size].</param>
    public void Rotate(Tensor s)
    {
        const long Columns = 1 << 14;
        using var scope = NewDisposeScope();
        var rotation = s.to(rows.dtype, rows.device).contiguous();
        for (long start = 0; start < rows.shape[1]; start += Columns)
        {
            using var inner = NewDisposeScope();
            var part = rows.narrow(1, start, Math.Min(Columns, rows.shape[1] - start));
            part.narrow(0, 0, s.shape[0]).copy_(rotation.MatrixProduct(part.narrow(0, 0, s.shape[1])));
        }
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
            _coefficients[i] = c;
            last -= _lost[i] * c;
        }
        _coefficients[j] = last;
    }

    /// <summary>w ← w - V c for the predicted c and the first vectors, then again for what is left. Returns its length.</summary>
    private double Orthogonalise(int count, Tensor w)
    {
        double length = 0;
        using var basis = rows.narrow(0, 0, count);
        for (int pass = 0; pass < MaxPasses; pass++)
        {
            length = Sweep(basis, w);
            Reads++;
            double left = 0;
            for (int i = 0; i < count; i++)
                left = Math.Max(left, Math.Abs(_along[i]));
            if (!(left > Rounding * _epsilon * length))
                break;
            (_coefficients, _along) = (_along, _coefficients);
        }
        return length;
    }

    /// <summary>w ← w - V c, and what is left along V. Returns the length of w.</summary>
    private double Sweep(Tensor basis, Tensor w)
    {
        int count = (int)basis.shape[0];
        if (RowSweep.IsUsable(basis, w))
            return Math.Sqrt(RowSweep.Run(basis, [.. Enumerable.Range(0, count)], _coefficients, w, _along));
        using var scope = NewDisposeScope();
        w.sub_(basis.T.mv(tensor(_coefficients.AsSpan(0, count).ToArray()).to_type(w.dtype).to(w.device)));
        TallProduct.Of(basis, w.unsqueeze(0)).Elements<double>().CopyTo(_along, 0);
        return Probes.Length(w).ToDouble();
    }

    private void Add(int j, Tensor w, double length)
    {
        using (var row = rows[j])
            row.copy_(w.div_(length)); // so the row's new pages are written once
        (_lost, _lostBefore) = (_lostBefore, _lost);
        for (int i = 0; i < j; i++)
            _lost[i] = _along[i] / length;
    }
}
