using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary>A product of packed matrices that stays in registers: C ← C + A B for <see cref="Rows"/> rows and two registers of
/// columns.</summary>
/// <remarks>A strip of A has its rows side by side, [depth, <see cref="Rows"/>], and one of B its columns, [depth, <see cref="Columns"/>].
/// Sums are in the order of the depth, so that results depend neither on threads nor on the width of registers.</remarks>
internal static unsafe class Tile<L>
    where L : unmanaged, ILanes<L>
{
    /// <summary>12 sums, which the registers of every processor hold, and enough to keep two multipliers busy.</summary>
    public const int Rows = 6;

    /// <summary>Columns of a strip of B.</summary>
    public static int Columns => 2 * L.Width;

    /// <summary>C ← C + A B.</summary>
    /// <param name="a">A strip of A.</param>
    /// <param name="b">A strip of B.</param>
    /// <param name="depth">Their common dimension.</param>
    /// <param name="c">The first number of C.</param>
    /// <param name="stride">From a row of C to the next, in numbers.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* a, float* b, long depth, float* c, long stride)
    {
        L c00 = 0,
            c01 = 0,
            c10 = 0,
            c11 = 0,
            c20 = 0,
            c21 = 0,
            c30 = 0,
            c31 = 0,
            c40 = 0,
            c41 = 0,
            c50 = 0,
            c51 = 0;
        int width = L.Width;
        for (float* end = a + (depth * Rows); a < end; a += Rows, b += 2 * width)
        {
            L b0 = L.Load(b),
                b1 = L.Load(b + width);
            L x = a[0];
            (c00, c01) = (L.Fma(x, b0, c00), L.Fma(x, b1, c01));
            x = a[1];
            (c10, c11) = (L.Fma(x, b0, c10), L.Fma(x, b1, c11));
            x = a[2];
            (c20, c21) = (L.Fma(x, b0, c20), L.Fma(x, b1, c21));
            x = a[3];
            (c30, c31) = (L.Fma(x, b0, c30), L.Fma(x, b1, c31));
            x = a[4];
            (c40, c41) = (L.Fma(x, b0, c40), L.Fma(x, b1, c41));
            x = a[5];
            (c50, c51) = (L.Fma(x, b0, c50), L.Fma(x, b1, c51));
        }
        AddRow(c, c00, c01);
        AddRow(c + stride, c10, c11);
        AddRow(c + (2 * stride), c20, c21);
        AddRow(c + (3 * stride), c30, c31);
        AddRow(c + (4 * stride), c40, c41);
        AddRow(c + (5 * stride), c50, c51);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRow(float* c, L first, L second)
    {
        L.Store(L.Load(c) + first, c);
        L.Store(L.Load(c + L.Width) + second, c + L.Width);
    }
}
