using Amari.Native;

namespace Amari.Solvers;

/// <summary>Products A B that are known to be symmetric: X X', or A B with A and B symmetric and commuting.</summary>
/// <remarks>On the CPU, panels of rows are computed up to the diagonal and mirrored. With N panels this takes a share (N + 1) / 2N of the
/// operations. Other devices compute the full product.</remarks>
internal static class SymmetricProduct
{
    private const long MaxPanels = 8,
        MinPanelRows = 128; // for narrower panels, or fewer than two, calls cost more than operations

    /// <summary>A B. The caller owns it.</summary>
    /// <param name="a">[.., n, k].</param>
    /// <param name="b">[.., k, n].</param>
    public static Tensor Of(Tensor a, Tensor b)
    {
        if (!InPanels(a))
            return a.MatrixProduct(b);
        var c = empty([.. a.shape[..^1], a.shape[^2]], dtype: a.dtype, device: a.device);
        Fill(c, a, b, beta: 0);
        return c;
    }

    /// <summary>C ← C + A B in place.</summary>
    /// <param name="c">[.., n, n], symmetric.</param>
    /// <param name="a">[.., n, k].</param>
    /// <param name="b">[.., k, n].</param>
    public static void AddTo(Tensor c, Tensor a, Tensor b)
    {
        if (InPanels(a))
            Fill(c, a, b, beta: 1);
        else
            c.add_(a.MatrixProduct(b));
    }

    private static bool InPanels(Tensor a) =>
        a.shape[^2] > 2 * MinPanelRows && a.shape[^1] >= MinPanelRows && a.device_type == DeviceType.CPU;

    private static void Fill(Tensor c, Tensor a, Tensor b, float beta)
    {
        using var scope = NewDisposeScope();
        if (a.dim() > 2)
        {
            for (long i = 0; i < a.shape[0]; i++)
                Fill(c[i], a[i], b[i], beta);
            return;
        }
        long n = a.shape[0],
            width = Math.Max(MinPanelRows, (n + MaxPanels - 1) / MaxPanels);
        for (long row = 0; row < n; row += width)
        {
            long rows = Math.Min(width, n - row);
            var panel = c.narrow(0, row, rows);
            panel.narrow(1, 0, row + rows).AddProduct(a.narrow(0, row, rows), b.narrow(1, 0, row + rows), beta, 1);
            if (row > 0)
                c.narrow(0, 0, row).narrow(1, row, rows).copy_(panel.narrow(1, 0, row).t());
        }
    }
}
