namespace Amari.Workloads.Data;

/// <summary>Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747; MIT licence), MNIST, or any data set of four IDX files with the
/// same shapes and names: <c>{train,t10k}-{images-idx3,labels-idx1}-ubyte</c>, plain or with <c>.gz</c>.</summary>
public static class FashionMnist
{
    /// <summary>The directory of Debian's package <c>dataset-fashion-mnist</c>.</summary>
    public const string DefaultDirectory = "/usr/share/datasets/fashion-mnist";

    private static readonly string[] Names =
    [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ];

    /// <summary>Whether a directory contains the four files. <see cref="Load"/> checks whether they are valid.</summary>
    /// <param name="directory">Null for <see cref="DefaultDirectory"/>.</param>
    public static bool IsPresent(string? directory = null) => Names.All(name => Find(directory ?? DefaultDirectory, name) is not null);

    /// <summary>Inputs float32 [n, 1, 28, 28] in [0, 1], targets int64 [n] from 0 to 9. Fashion-MNIST has 60,000 training and 10,000 test
    /// examples. The caller disposes it.</summary>
    /// <param name="directory">Null for <see cref="DefaultDirectory"/>.</param>
    /// <exception cref="FileNotFoundException">A file is missing; the message says how to get it.</exception>
    /// <exception cref="InvalidDataException">A file is malformed.</exception>
    public static WorkloadData Load(string? directory = null)
    {
        directory ??= DefaultDirectory;
        var paths = Array.ConvertAll(
            Names,
            name =>
                Find(directory, name)
                ?? throw new FileNotFoundException(
                    $"{directory} has no {name}(.gz): install Fashion-MNIST (Debian, Ubuntu: apt-get install dataset-fashion-mnist) "
                        + $"or give a folder with {string.Join(", ", Names)}, plain or .gz, by --data DIR.",
                    name
                )
        );

        var train = MnistImages.Read(paths[0], paths[1]);
        try
        {
            return new(train, MnistImages.Read(paths[2], paths[3]));
        }
        catch
        {
            train.Dispose();
            throw;
        }
    }

    private static string? Find(string directory, string name)
    {
        var path = Path.Combine(directory, name);
        return File.Exists(path) ? path
            : File.Exists(path + ".gz") ? path + ".gz"
            : null;
    }
}
