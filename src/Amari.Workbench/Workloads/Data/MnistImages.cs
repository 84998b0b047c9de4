namespace Amari.Workloads.Data;

/// <summary>A pair of IDX files with the shapes of MNIST: images 28x28 and labels 0..9.</summary>
internal static class MnistImages
{
    /// <summary>Inputs float32 [n, 1, 28, 28] in [0, 1], targets int64 [n].</summary>
    /// <exception cref="InvalidDataException">The files are malformed, have other shapes, or do not match.</exception>
    public static Dataset Read(string imagesPath, string labelsPath)
    {
        using var images = File.OpenRead(imagesPath);
        using var labels = File.OpenRead(labelsPath);
        return Read(images, imagesPath, labels, labelsPath);
    }

    /// <inheritdoc cref="Read(string, string)"/>
    public static Dataset Read(Stream imagesFile, string imagesName, Stream labelsFile, string labelsName)
    {
        using var images = Idx.Read(imagesFile, imagesName);
        using var labels = Idx.Read(labelsFile, labelsName);
        if (images.shape is not [> 0, 28, 28])
            throw new InvalidDataException($"{imagesName} contains {Shape(images)}; expected images [n, 28, 28].");
        if (labels.shape is not [var count] || count != images.shape[0])
            throw new InvalidDataException($"{labelsName} contains {Shape(labels)}; expected {images.shape[0]} labels for {imagesName}.");
        using var largest = labels.max();
        if (largest.item<byte>() > 9)
            throw new InvalidDataException($"{labelsName} has the label {largest.item<byte>()}; expected 0 to 9.");

        using var pixels = images.to(ScalarType.Float32);
        return new(pixels.div_(255).view(-1, 1, 28, 28), labels.to(ScalarType.Int64));
    }

    private static string Shape(Tensor x) => $"[{string.Join(", ", x.shape)}]";
}
