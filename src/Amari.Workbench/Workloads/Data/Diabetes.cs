using System.Globalization;
using System.IO.Compression;

namespace Amari.Workloads.Data;

/// <summary>442 patients with diabetes: ten measurements, and the progression of the disease a year later. Inside the Amari
/// assembly.</summary>
/// <remarks>B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least Angle Regression", Annals of Statistics 32 (2004). Half of the
/// variance of the progression is noise to these measurements, so it shows what optimizers do on noisy data.</remarks>
public static class Diabetes
{
    private const int Columns = 11,
        TestInterval = 4;

    /// <summary>The standard deviation of the progression over the training set, in the units of the file (25 to 346).</summary>
    public const double Scale = 79.74628760998466;

    /// <summary>Inputs float32 [n, 10], targets float32 [n, 1], each column with mean 0 and variance 1 over the training set. The caller
    /// disposes it.</summary>
    /// <remarks>Every fourth patient is in the test set (110), the others in the training set (332): the same split on every
    /// machine.</remarks>
    public static WorkloadData Load()
    {
        using var resource = typeof(Diabetes).Assembly.GetManifestResourceStream("diabetes.csv.gz")!;
        using var reader = new StreamReader(new GZipStream(resource, CompressionMode.Decompress));
        reader.ReadLine(); // the header
        var values = new List<double>();
        while (reader.ReadLine() is { } line)
            values.AddRange(line.Split(',').Select(v => double.Parse(v, CultureInfo.InvariantCulture)));

        using var scope = NewDisposeScope();
        var all = tensor(values.ToArray(), [values.Count / Columns, Columns]);
        var isTest = arange(all.shape[0]).remainder(TestInterval).eq(TestInterval - 1);
        var train = all[isTest.logical_not()];
        var mean = train.mean([0]);
        var deviation = train.std([0], unbiased: false);
        return new(Part(train), Part(all[isTest]));

        Dataset Part(Tensor rows)
        {
            var standardised = rows.sub(mean).div_(deviation).to_type(ScalarType.Float32);
            return new(Column(..(Columns - 1)), Column((Columns - 1)..));

            Tensor Column(Range range)
            {
                var (start, count) = range.GetOffsetAndLength(Columns);
                return standardised.narrow(1, start, count).contiguous().MoveToOuterDisposeScope();
            }
        }
    }
}
