using Amari.Reporting;
using ScottPlot;
using ScottPlot.Panels;

namespace Amari.Tests.Reporting;

/// <summary>Matrices and surfaces have axes and color bars; logarithmic axes have labels that can be read.</summary>
public sealed class FigureTests
{
    private static Dictionary<double, string> Labels(Plot plot, IAxis axis)
    {
        plot.RenderInMemory(800, 600);
        return axis.TickGenerator.Ticks.Where(t => t.IsMajor).ToDictionary(t => Math.Round(t.Position, 9), t => t.Label);
    }

    private static ColorBar Bar(Plot plot) => Assert.Single(plot.Axes.GetPanels().OfType<ColorBar>());

    [Theory]
    [InlineData(3, new[] { 1, 2, 3 })]
    [InlineData(12, new[] { 2, 4, 6, 8, 10, 12 })]
    [InlineData(50, new[] { 10, 20, 30, 40, 50 })]
    [InlineData(130, new[] { 20, 40, 60, 80, 100, 120 })]
    public void A_matrix_has_numbered_rows_and_columns_and_a_color_bar(int size, int[] numbers)
    {
        using var plot = Figure.Panel("title", "column", "row");
        Figure.Matrix(plot, new double[size, size], limit: 0.5);
        Assert.Equal(numbers.ToDictionary(n => n - 1.0, n => $"{n}"), Labels(plot, plot.Axes.Bottom));
        Assert.Equal(numbers.ToDictionary(n => (double)(size - n), n => $"{n}"), Labels(plot, plot.Axes.Left)); // row 1 is at the top
        Assert.Contains("0.5", Bar(plot).Label, StringComparison.Ordinal);
    }

    [Fact]
    public void A_surface_has_a_color_bar_with_values()
    {
        using var plot = Figure.Panel("title", "x", "y");
        Figure.Surface(
            plot,
            new double[,]
            {
                { -1, 0 },
                { 0, 1 },
            },
            (0, 1),
            (0, 1),
            "loss"
        );
        var bar = Bar(plot);
        Assert.Equal("loss (log scale)", bar.Label);
        Assert.Equal(["0.1", "0.2", "0.5", "1", "2", "5", "10"], Labels(plot, bar.Axis).OrderBy(t => t.Key).Select(t => t.Value));
    }

    [Fact]
    public void More_than_two_decades_still_have_labels_in_between()
    {
        using var plot = Figure.Panel("title", "x", "y");
        Figure.Logarithmic(plot.Axes.Left, 0.015, 3.3);
        Assert.Equal(
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"],
            Labels(plot, plot.Axes.Left).OrderBy(t => t.Key).Select(t => t.Value)
        );
    }

    [Fact]
    public void Outlined_marks_are_in_the_legend()
    {
        using var plot = Figure.Panel("title", "x", "y");
        Figure.OutlinedMarks(plot, [0], [0], "minima");
        var marks = Assert.Single(plot.GetPlottables<ScottPlot.Plottables.Scatter>());
        Assert.Equal(("minima", Colors.Black), (marks.LegendText, marks.MarkerStyle.OutlineColor));
        Assert.True(marks.MarkerStyle.OutlineWidth > 1);
    }
}
