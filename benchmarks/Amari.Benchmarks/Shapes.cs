namespace Amari.Benchmarks;

/// <summary>The parameter shapes of the cases.</summary>
internal static class Shapes
{
    /// <summary>Cases by their names in the result file.</summary>
    public static IEnumerable<(string Name, long[][] Shapes)> Cases =>
        [
            (
                "large",
                [
                    [25_000_000],
                ]
            ),
            ("small400", [.. Enumerable.Repeat<long[]>([2048], 400)]),
            ("resnet50", [.. ResNet50()]),
        ];

    /// <summary>He et al. 2015, arXiv:1512.03385, Table 1: 161 tensors, 25.6 million parameters.</summary>
    private static IEnumerable<long[]> ResNet50()
    {
        IEnumerable<long[]> Convolution(long from, long to, long size) =>
            [
                [to, from, size, size],
                [to],
                [to],
            ]; // and its batch norm
        List<long[]> shapes = [.. Convolution(3, 64, 7)];
        long width = 64;
        foreach (var (blocks, inner) in new (int, long)[] { (3, 64), (4, 128), (6, 256), (3, 512) })
            for (int block = 0; block < blocks; block++)
            {
                shapes.AddRange([.. Convolution(width, inner, 1), .. Convolution(inner, inner, 3), .. Convolution(inner, 4 * inner, 1)]);
                if (block == 0)
                    shapes.AddRange(Convolution(width, 4 * inner, 1));
                width = 4 * inner;
            }
        return [.. shapes, [1000, width], [1000]];
    }
}
