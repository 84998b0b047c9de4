using Amari.Native;
using Amari.Workloads.Data;
using static System.Math;

namespace Amari.Tests.Workloads;

/// <summary>Formulas: precedence, functions, errors, and the models of NIST.</summary>
public sealed class FormulaTests
{
    private static double Value(string text, double x = 3)
    {
        using var scope = torch.NewDisposeScope();
        var f = Formula.Parse(text, ["x"]);
        return f(new Dictionary<string, Tensor> { ["x"] = torch.tensor(x, dtype: ScalarType.Float64) }).item<double>();
    }

    [Theory]
    [InlineData("1 - 2 - 3", -4)]
    [InlineData("8/4/2", 1)]
    [InlineData("1 + 2*3", 7)]
    [InlineData("[1 + 2]*(3)", 9)]
    [InlineData("-2^2", -4)]
    [InlineData("2^3^2", 512)]
    [InlineData("2**-1", 0.5)]
    [InlineData("2*-3", -6)]
    [InlineData("--2", 2)]
    [InlineData("-x^2", -9)]
    [InlineData("(-x)^2", 9)]
    [InlineData("x**2*x", 27)]
    [InlineData("2^x", 8)]
    [InlineData("1.5e-3 + .5 + 2E+2 + 1D1", 210.5015)]
    [InlineData("3e*1", double.NaN)]
    [InlineData("exp[-x] + exp(x)", 20.135323991553554)]
    [InlineData("arctan[x/2]/pi + atan(x/2)/pi", 0.6256659163780)]
    [InlineData("sqrt(x)+log(x)+ln(x)+log10(x)+abs(-x)", 7.40639663962476)]
    [InlineData("  x  ", 3)]
    public void Values_are_those_of_arithmetic(string text, double expected)
    {
        if (double.IsNaN(expected))
            Assert.Throws<FormatException>(() => Value(text));
        else
            Assert.Equal(expected, Value(text), 1e-9);
    }

    [Theory]
    [InlineData("", "it ends too early, at character 1 of ''")]
    [InlineData("1 +", "it ends too early")]
    [InlineData("(1 + 2", "')' is missing")]
    [InlineData("[1 + 2)", "']' is missing")]
    [InlineData("1 2", "'2' is not expected, at character 3")]
    [InlineData("b9*x", "'b9' is not known; there are x, pi and the functions exp, log")]
    [InlineData("sin x", "'sin' is not known")]
    [InlineData("1..2", "'1..2' is no number")]
    [InlineData("x; exit", "';' is not expected")]
    public void Errors_say_what_and_where(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<FormatException>(() => Formula.Parse(text, ["x"])).Message, StringComparison.Ordinal);

    [Theory, InlineData("("), InlineData("-"), InlineData("exp("), InlineData("2^")]
    public void Deep_nesting_is_refused(string part) =>
        Assert.Throws<FormatException>(() => Formula.Parse(string.Concat(Enumerable.Repeat(part, 100_000)), ["x"]));

    public static TheoryData<string> Models => [.. Known.Select(k => k.Text)];

    /// <summary>All models of the collection, by hand.</summary>
    private static readonly (string Text, Func<double[], double, double> Value)[] Known =
    [
        ("b1*(1-exp(-b2*x1))", (b, x) => b[0] * (1 - Exp(-b[1] * x))),
        ("b1*(1-(1+b2*x1/2)^(-2))", (b, x) => b[0] * (1 - 1 / ((1 + b[1] * x / 2) * (1 + b[1] * x / 2)))),
        ("b1*(1-(1+2*b2*x1)**(-.5))", (b, x) => b[0] * (1 - 1 / Sqrt(1 + 2 * b[1] * x))),
        ("b1*b2*x1*((1+b2*x1)**(-1))", (b, x) => b[0] * b[1] * x / (1 + b[1] * x)),
        ("exp[-b1*x1]/(b2+b3*x1)", (b, x) => Exp(-b[0] * x) / (b[1] + b[2] * x)),
        ("b1*x1**b2", (b, x) => b[0] * Pow(x, b[1])),
        ("(b1 + b2*x1 + b3*x1^2) / (1 + b4*x1 + b5*x1^2)", (b, x) => (b[0] + b[1] * x + b[2] * x * x) / (1 + b[3] * x + b[4] * x * x)),
        ("b1*(x1**2+x1*b2) / (x1**2+x1*b3+b4)", (b, x) => b[0] * (x * x + x * b[1]) / (x * x + x * b[2] + b[3])),
        ("b1 * exp[b2/(x1+b3)]", (b, x) => b[0] * Exp(b[1] / (x + b[2]))),
        ("b1 - b2*x1 - arctan[b3/(x1-b4)]/pi", (b, x) => b[0] - b[1] * x - Atan(b[2] / (x - b[3])) / PI),
        ("b1 * (b2+x1)**(-1/b3)", (b, x) => b[0] * Pow(b[1] + x, -1 / b[2])),
        ("b1 / (1+exp[b2-b3*x1])", (b, x) => b[0] / (1 + Exp(b[1] - b[2] * x))),
        ("b1 / ((1+exp[b2-b3*x1])**(1/b4))", (b, x) => b[0] / Pow(1 + Exp(b[1] - b[2] * x), 1 / b[3])),
        ("(b1/b2) * exp[-0.5*((x1-b3)/b2)**2]", (b, x) => b[0] / b[1] * Exp(-0.5 * (x - b[2]) / b[1] * (x - b[2]) / b[1])),
        (
            "b1*exp( -b2*x1 ) + b3*exp( -(x1-b4)**2 / b5**2 )",
            (b, x) => b[0] * Exp(-b[1] * x) + b[2] * Exp(-(x - b[3]) * (x - b[3]) / (b[4] * b[4]))
        ),
        ("b1 + b2*cos( 2*pi*x1/12 ) + b3*sin( 2*pi*x1/b4 )", (b, x) => b[0] + b[1] * Cos(2 * PI * x / 12) + b[2] * Sin(2 * PI * x / b[3])),
    ];

    [Theory, MemberData(nameof(Models))]
    public void Models_have_the_values_of_their_functions(string text)
    {
        using var scope = torch.NewDisposeScope();
        double[] b = [1.3, 0.7, 0.4, 2.2, 1.9],
            x = [0.5, 1, 4.5];
        var values = Enumerable.Range(0, 5).ToDictionary(i => $"b{i + 1}", i => torch.tensor(b[i], dtype: ScalarType.Float64));
        values["x1"] = torch.tensor(x, dtype: ScalarType.Float64);
        double[] found = Formula.Parse(text, values.Keys)(values).Elements<double>();
        var expected = Known.Single(k => k.Text == text).Value;
        Assert.All(found.Zip(x), p => Assert.Equal(1, p.First / expected(b, p.Second), 1e-13));
    }
}
