using Amari.Native;
using Amari.Workloads;
using Amari.Workloads.Data;

namespace Amari.Tests.Workloads;

/// <summary>Against gradients of the penalised loss, which vanish at its minimum, computed in plain C#.</summary>
public sealed class LinearBaselineTests
{
    private const int Rows = 200,
        Features = 3;

    private static Dataset Made(int seed, bool classes)
    {
        manual_seed(seed);
        var x = randn(Rows, Features);
        var y = classes
            ? x.mm(tensor(new float[] { 1, -1, 0, 0, 1, -1, 0.5f, 0, 0 }, 3, 3)).add(randn(Rows, 3)).argmax(1)
            : x.mm(tensor(new float[] { 1, -2, 0.5f }, 3, 1)).add(randn(Rows, 1));
        return new(x, y);
    }

    /// <summary>Gradient descent in C# on ½ Σ r² + ½ |w|².</summary>
    [Fact]
    public void Ridge_regression_has_the_loss_of_its_minimum()
    {
        using var training = Made(1, classes: false);
        using var test = Made(2, classes: false);
        var (x, y) = (training.Inputs.Elements<double>(), training.Targets.Elements<double>());
        var w = new double[Features + 1];
        for (int step = 0; step < 500; step++)
        {
            var g = (double[])w.Clone();
            for (int i = 0; i < Rows; i++)
            {
                double r = Output(w, x, i) - y[i];
                for (int j = 0; j <= Features; j++)
                    g[j] += r * (j < Features ? x[i * Features + j] : 1);
            }
            for (int j = 0; j <= Features; j++)
                w[j] -= g[j] / (2 * Rows);
        }
        var (u, v) = (test.Inputs.Elements<double>(), test.Targets.Elements<double>());
        double expected = Enumerable.Range(0, Rows).Average(i => Math.Pow(Output(w, u, i) - v[i], 2)) / 2;
        Assert.Equal(expected, LinearBaseline.Loss(training, test, 0), 1e-9);
    }

    private static double Output(double[] w, double[] x, int i) =>
        w[Features] + Enumerable.Range(0, Features).Sum(j => w[j] * x[i * Features + j]);

    /// <summary>Gradient descent in C# on the cross-entropy summed over the rows + ½ |W|².</summary>
    [Fact]
    public void Softmax_regression_has_the_loss_of_its_minimum()
    {
        const int classes = 3;
        using var training = Made(3, classes: true);
        using var test = Made(4, classes: true);
        var (x, y) = (training.Inputs.Elements<double>(), training.Targets.Elements<long>());
        var w = new double[classes][];
        for (int c = 0; c < classes; c++)
            w[c] = new double[Features + 1];
        for (int step = 0; step < 600; step++)
        {
            double[][] g = [.. w.Select(row => (double[])row.Clone())];
            for (int i = 0; i < Rows; i++)
            {
                double[] p = Probabilities(w, x, i);
                for (int c = 0; c < classes; c++)
                for (int j = 0; j <= Features; j++)
                    g[c][j] += (p[c] - (y[i] == c ? 1 : 0)) * (j < Features ? x[i * Features + j] : 1);
            }
            for (int c = 0; c < classes; c++)
            for (int j = 0; j <= Features; j++)
                w[c][j] -= 2 * g[c][j] / Rows;
        }
        var (u, v) = (test.Inputs.Elements<double>(), test.Targets.Elements<long>());
        double expected = -Enumerable.Range(0, Rows).Average(i => Math.Log(Probabilities(w, u, i)[v[i]]));
        Assert.Equal(expected, LinearBaseline.Loss(training, test, classes), 1e-4);
    }

    private static double[] Probabilities(double[][] w, double[] x, int i)
    {
        double[] e = [.. w.Select(row => Math.Exp(Output(row, x, i)))];
        return [.. e.Select(p => p / e.Sum())];
    }
}
