namespace Amari.Tests.SecondOrder;

/// <summary>Problems of least squares with known minima: Moré, Garbow and Hillstrom 1981, "Testing unconstrained optimization software", by
/// its numbers.</summary>
internal static class MoreGarbowHillstrom
{
    /// <param name="Residuals">r of the parameters [d].</param>
    /// <param name="Start">The standard start.</param>
    /// <param name="Minima">Σ r² at minima, six digits.</param>
    internal sealed record Problem(Func<Tensor, Tensor> Residuals, double[] Start, params double[] Minima)
    {
        public LeastSquaresScaling Scaling { get; init; }
    }

    private static readonly double[] BardData = [.14, .18, .22, .25, .29, .32, .35, .39, .37, .58, .73, .96, 1.34, 2.10, 4.39];

    private static readonly double[] GaussianData =
    [
        .0009,
        .0044,
        .0175,
        .0540,
        .1295,
        .2420,
        .3521,
        .3989,
        .3521,
        .2420,
        .1295,
        .0540,
        .0175,
        .0044,
        .0009,
    ];

    private static readonly double[] MeyerData =
    [
        34780,
        28610,
        23650,
        19630,
        16370,
        13720,
        11540,
        9744,
        8261,
        7030,
        6005,
        5147,
        4427,
        3820,
        3307,
        2872,
    ];

    private static readonly double[] KowalikData = [.1957, .1947, .1735, .1600, .0844, .0627, .0456, .0342, .0323, .0235, .0246];
    private static readonly double[] KowalikPoints = [4, 2, 1, .5, .25, .167, .125, .1, .0833, .0714, .0625];

    public static Dictionary<string, Problem> All { get; } =
        new()
        {
            ["1 Rosenbrock"] = new(x => stack([10 * (x[1] - x[0].square()), 1 - x[0]]), [-1.2, 1], 0),
            ["2 Freudenstein and Roth"] = new(
                x => stack([-13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1], -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]]),
                [0.5, -2],
                0,
                48.9842
            ),
            ["3 Powell, badly scaled"] = new(x => stack([1e4 * x[0] * x[1] - 1, exp(-x[0]) + exp(-x[1]) - 1.0001]), [0, 1], 0),
            ["4 Brown, badly scaled"] = new(x => stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2]), [1, 1], 0),
            ["5 Beale"] = new(x => Row(1.5, 2.25, 2.625) - x[0] * (1 - x[1].pow(Count(3))), [1, 1], 0),
            ["6 Jennrich and Sampson"] = new(x => 2 + 2 * Count(10) - exp(Count(10) * x[0]) - exp(Count(10) * x[1]), [.3, .4], 124.362),
            ["7 helical valley"] = new(
                x => stack([10 * (x[2] - 10 * atan2(x[1], x[0]) / (2 * Math.PI)), 10 * (sqrt(x[0].square() + x[1].square()) - 1), x[2]]),
                [-1, 0, 0],
                0
            ),
            ["8 Bard"] = new(
                x => Row(BardData) - x[0] - Count(15) / ((16 - Count(15)) * x[1] + minimum(Count(15), 16 - Count(15)) * x[2]),
                [1, 1, 1],
                8.21487e-3
            ),
            ["9 Gaussian"] = new(
                x => x[0] * exp(-x[1] * ((8 - Count(15)) / 2 - x[2]).square() / 2) - Row(GaussianData),
                [.4, 1, 0],
                1.12793e-8
            ),
            ["10 Meyer"] = new(x => x[0] * exp(x[1] / (45 + 5 * Count(16) + x[2])) - Row(MeyerData), [.02, 4000, 250], 87.9458),
            ["12 Box, three-dimensional"] = new(
                x => exp(-.1 * Count(10) * x[0]) - exp(-.1 * Count(10) * x[1]) - x[2] * (exp(-.1 * Count(10)) - exp(-Count(10))),
                [0, 10, 20],
                0
            ),
            ["13 Powell, singular"] = new(
                x =>
                    stack([
                        x[0] + 10 * x[1],
                        Math.Sqrt(5) * (x[2] - x[3]),
                        (x[1] - 2 * x[2]).square(),
                        Math.Sqrt(10) * (x[0] - x[3]).square(),
                    ]),
                [3, -1, 0, 1],
                0
            ),
            ["14 Wood"] = new(
                x =>
                    stack([
                        10 * (x[1] - x[0].square()),
                        1 - x[0],
                        Math.Sqrt(90) * (x[3] - x[2].square()),
                        1 - x[2],
                        Math.Sqrt(10) * (x[1] + x[3] - 2),
                        (x[1] - x[3]) / Math.Sqrt(10),
                    ]),
                [-3, -1, -3, -1],
                0
            ),
            ["15 Kowalik and Osborne"] = new(
                x =>
                    Row(KowalikData)
                    - x[0]
                        * (Row(KowalikPoints).square() + Row(KowalikPoints) * x[1])
                        / (Row(KowalikPoints).square() + Row(KowalikPoints) * x[2] + x[3]),
                [.25, .39, .415, .39],
                3.07505e-4
            ),
            ["16 Brown and Dennis"] = new(
                x =>
                    (x[0] + Count(20) / 5 * x[1] - exp(Count(20) / 5)).square()
                    + (x[2] + x[3] * sin(Count(20) / 5) - cos(Count(20) / 5)).square(),
                [25, 5, -5, -1],
                85822.2
            )
            {
                Scaling = LeastSquaresScaling.Columns, // the residuals are large; D must not fall with the columns
            },
            ["20 Watson, 6"] = Watson(6, 2.28767e-3),
            ["20 Watson, 9"] = Watson(9, 1.39976e-6),
            ["25 variably dimensioned"] = new(
                x => Count(10).dot(x - 1) is var sum ? cat([x - 1, stack([sum, sum.square()])]) : null!,
                [.. Enumerable.Range(1, 10).Select(j => 1 - j / 10.0)],
                0
            ),
            ["27 Brown, almost linear"] = new(
                x => cat([x[..9] + x.sum() - 11, (x.prod() - 1).unsqueeze(0)]),
                [.. Enumerable.Repeat(.5, 10)],
                0,
                1
            ),
            ["32 linear, full rank"] = new(
                x => cat([x - .1 * x.sum() - 1, (-.1 * x.sum() - 1).expand(10)]),
                [.. Enumerable.Repeat(1.0, 10)],
                10
            ),
            ["33 linear, rank 1"] = new(x => Count(20) * Count(10).dot(x) - 1, [.. Enumerable.Repeat(1.0, 10)], 20 * 19 / (2.0 * 41)),
        };

    private static Problem Watson(int n, double minimum) =>
        new(
            x =>
            {
                var t = Count(29) / 29;
                Tensor slope = zeros(29, dtype: ScalarType.Float64),
                    value = slope;
                for (int j = 0; j < n; j++)
                {
                    value = value + x[j] * t.pow(j);
                    if (j > 0)
                        slope = slope + j * x[j] * t.pow(j - 1);
                }
                return cat([slope - value.square() - 1, stack([x[0], x[1] - x[0].square() - 1])]);
            },
            new double[n],
            minimum
        );

    private static Tensor Row(params double[] values) => tensor(values);

    /// <summary>1, 2, .., n.</summary>
    private static Tensor Count(int n) => arange(1, n + 1, dtype: ScalarType.Float64);
}
