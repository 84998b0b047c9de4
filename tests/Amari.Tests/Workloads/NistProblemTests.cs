using Amari.Native;
using Amari.Tests.Training;
using Amari.Workloads.Data;

namespace Amari.Tests.Workloads;

/// <summary>The embedded problems, and files that are damaged.</summary>
public sealed class NistProblemTests
{
    public static TheoryData<string> Problems => [.. NistProblem.Embedded];

    [Fact]
    public void There_are_fourteen() => Assert.Equal(14, NistProblem.Embedded.Count);

    [Theory, MemberData(nameof(Problems))]
    public void Certified_parameters_have_the_certified_sum_of_squares(string name)
    {
        using var scope = torch.NewDisposeScope();
        var problem = NistProblem.Find(name.ToLowerInvariant());
        Assert.Equal(name, problem.Name);
        Assert.Equal(2, problem.Starts.Count);
        Assert.All((IReadOnlyList<double>[])[.. problem.Starts, problem.Deviations], s => Assert.Equal(problem.Certified.Count, s.Count));
        var b = torch.tensor((double[])[.. problem.Certified], dtype: ScalarType.Float64);
        double rss = (problem.Function(b, problem.X()) - problem.Y()).square().sum().item<double>();
        if (name == "Lanczos1") // its residuals are below what eleven digits of its parameters give
            Assert.InRange(rss, 0, 1e-18);
        else
            Assert.Equal(1, rss / problem.ResidualSumOfSquares, 1e-8);
        Assert.Equal(11, problem.Digits(problem.Certified));
    }

    [Fact]
    public void Digits_are_those_of_the_worst_parameter()
    {
        var problem = NistProblem.Find("misra1a");
        double[] b = [.. problem.Certified];
        Assert.Equal(6, problem.Digits([b[0] * (1 + 1e-6), b[1]]), 1e-6);
        Assert.Equal(3, problem.Digits([b[0] * (1 + 1e-6), b[1] * (1 - 1e-3)]), 1e-6);
        Assert.Equal(double.NaN, problem.Digits([double.NaN, b[1]]));
        Assert.Equal(double.NaN, problem.Digits([b[0], double.NaN]));
    }

    private const string Text = """
        name Mine
        level lower
        response log(y)
        model b1 + b2*x1*x2
        start1 1 2
        start2 1 2
        certified 1 2
        deviation 0.1 0.2
        rss 3
        data 3 y x1 x2
        1 2 3
        4 5 6
        7 8 9

        """;

    [Fact]
    public void A_file_is_read_with_its_predictors_and_response()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("mine.txt"), Text.Replace("\n", "\r\n\r\n", StringComparison.Ordinal));
        var problem = NistProblem.Find(folder.File("mine.txt"));
        using var x = problem.X();
        Assert.Equal([3, 2], x.shape);
        Assert.Equal([0, Math.Log(4), Math.Log(7)], problem.Responses);
        using var b = torch.tensor((double[])[1, 2], dtype: ScalarType.Float64);
        using var f = problem.Function(b, x);
        Assert.Equal([13, 61, 145], f.Elements<double>());
    }

    [Theory]
    [InlineData("level lower\n", "", "line 2: 'response' is not expected here, but 'level'.")]
    [InlineData("level lower", "level", "line 2: 'level' has no value.")]
    [InlineData("b2*x1*x2", "b3*x1", "line 4: the model is no formula: 'b3' is not known; there are b1, b2, x1, x2, pi")]
    [InlineData("b2*x1*x2", "exp(b2*x1", "line 4: the model is no formula: ')' is missing")]
    [InlineData("log(y)", "log(z)", "line 3: the response is no formula: 'z' is not known")]
    [InlineData("1 2 3", "-1 2 3", "line 3: 'log(y)' is not a finite number for each y.")]
    [InlineData("start2 1 2", "start2 1", "line 6: there are 1 numbers; there must be 2.")]
    [InlineData("start2 1 2", "start2 1 two", "line 6: 'two' is no number.")]
    [InlineData("deviation 0.1 0.2", "deviation 0.1 nan", "line 8: 'nan' is no number.")]
    [InlineData("data 3 y x1 x2", "data three", "line 10: 'data' must be followed by the number of lines")]
    [InlineData("data 3 y x1 x2", "data 4 y x1 x2", "the file ends, but there are 3 of 4 lines of data.")]
    [InlineData("data 3 y x1 x2", "data 2 y x1 x2", "line 13: there are more than 2 lines of data.")]
    [InlineData("4 5 6", "4 5", "line 12: there are 2 numbers; there must be 3.")]
    public void Damage_is_reported_with_its_line(string part, string other, string expected)
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("mine.txt");
        File.WriteAllText(path, Text.Replace(part, other, StringComparison.Ordinal));
        string message = Assert.Throws<ArgumentException>(() => NistProblem.Find(path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain("\n", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_truncated_file_is_refused_wherever_it_ends()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("mine.txt");
        for (int end = 0; end < Text.Length - 2; end += 3)
        {
            File.WriteAllText(path, Text[..end]);
            Assert.Throws<ArgumentException>(() => NistProblem.Find(path));
        }
    }

    [Fact]
    public void Missing_and_binary_files_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(
            "The problem is 'nothing.txt'; it must be one of BoxBOD, ",
            Assert.Throws<ArgumentException>(() => NistProblem.Find("nothing.txt")).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => NistProblem.Find(folder.Path));
        File.WriteAllBytes(folder.File("b"), [.. Enumerable.Range(0, 3_000_000).Select(i => (byte)(i % 256))]);
        Assert.Throws<ArgumentException>(() => NistProblem.Find(folder.File("b")));
    }
}
