using Amari.Training;
using Amari.Workloads;
using ScottPlot;

namespace Amari.Reporting;

/// <summary>Milliseconds per step of each optimizer on a logarithmic axis, the fastest at the top: typical, quartiles and kinds of
/// steps.</summary>
internal static class PlanFigure
{
    private const int Width = 1200,
        RowHeight = 26,
        FrameHeight = 190, // title, axis and legend
        MinHeight = 360;
    private const double Margin = 1.3, // of the axis, as a factor
        MinSpan = 10, // ratio of both ends, so that there are labels
        LabelRoom = 0.2; // share of the axis to the right of the slowest, for its label
    private const double LabelledDecades = 5; // with labels at 2 and 5

    public static void Save(Workload workload, IReadOnlyList<StepPlan> plans, ResultFolder folder)
    {
        var plot = Figure.Panel($"{workload.Name}: time per step", "ms per step (log scale), followed by the bytes of state", "");
        using var figure = new Figure("plan", plot) { Size = (Width, Math.Max(MinHeight, FrameHeight + RowHeight * plans.Count)) };
        var colors = Palette.Of(plans.Select(p => p.Choice.Name));
        var names = new ScottPlot.TickGenerators.NumericManual();
        for (int i = 0; i < plans.Count; i++)
        {
            int y = plans.Count - 1 - i;
            names.AddMajor(y, plans[i].Choice.Name);
            Draw(plot, plans[i], y, Color.FromHex(colors[plans[i].Choice.Name]));
        }
        var (low, high) = Limits(plans);
        Figure.Mark(plot.Axes.Bottom, Decades.Marks(low, high, LabelledDecades));
        plot.Axes.Left.TickGenerator = names;
        plot.Axes.Left.MinimumSize = 190;
        plot.Axes.SetLimits(Math.Log10(low), Math.Log10(high), -0.8, plans.Count - 0.2);
        plot.Grid.YAxisStyle.IsVisible = false;
        Explain(plot, plans.Any(p => p.Kinds.Count > 1));
        figure.Save(folder, "plan");
    }

    /// <summary>Both ends of the axis: every mark, and the labels to the right.</summary>
    internal static (double Low, double High) Limits(IReadOnlyList<StepPlan> plans)
    {
        double low = plans.SelectMany(Marks).Min() / Margin,
            high = plans.SelectMany(Marks).Max() * Margin,
            wider = Math.Sqrt(Math.Max(1, MinSpan / (high / low)));
        (low, high) = (low / wider, high * wider);
        return (low, high * Math.Pow(high / low, LabelRoom / (1 - LabelRoom)));
    }

    private static IEnumerable<double> Marks(StepPlan plan) =>
        [plan.Milliseconds, plan.Spread.Lower, plan.Spread.Upper, .. plan.Kinds.Select(k => k.Milliseconds.Median)];

    private static void Draw(Plot plot, StepPlan plan, double y, Color color)
    {
        if (plan.Kinds.Count > 1)
        {
            var (first, last) = (plan.Kinds.Min(k => k.Milliseconds.Median), plan.Kinds.Max(k => k.Milliseconds.Median));
            var range = plot.Add.Line(Math.Log10(first), y, Math.Log10(last), y);
            (range.LineColor, range.LineWidth, range.LinePattern) = (color.WithAlpha(0.6), 1, LinePattern.Dotted);
            foreach (var kind in plan.Kinds)
                Mark(kind.Milliseconds.Median, kind.Options.Count == 0 ? MarkerShape.OpenCircle : MarkerShape.OpenDiamond, 9);
        }
        var whisker = plot.Add.Line(Math.Log10(plan.Spread.Lower), y, Math.Log10(plan.Spread.Upper), y);
        (whisker.LineColor, whisker.LineWidth) = (color, 2);
        Mark(plan.Spread.Lower, MarkerShape.VerticalBar, 12);
        Mark(plan.Spread.Upper, MarkerShape.VerticalBar, 12);
        Mark(plan.Milliseconds, MarkerShape.FilledCircle, 12);
        var label = plot.Add.Text(
            $"{Number.Short(plan.Milliseconds)} ms, {Number.Bytes(plan.StateBytes)}",
            Math.Log10(Marks(plan).Max()),
            y
        );
        (label.LabelFontSize, label.LabelAlignment, label.OffsetX) = (13, Alignment.MiddleLeft, 12);

        void Mark(double milliseconds, MarkerShape shape, float size)
        {
            var mark = plot.Add.Marker(Math.Log10(milliseconds), y, shape, size, color);
            mark.LineWidth = 2;
        }
    }

    private static void Explain(Plot plot, bool kinds)
    {
        Figure.Legend(plot, Edge.Bottom); // outside: labels may reach every corner
        plot.Legend.Orientation = Orientation.Horizontal;
        Add("typical step", MarkerShape.FilledCircle);
        Add("quartiles", MarkerShape.VerticalBar);
        if (!kinds)
            return;
        Add("step without a refresh", MarkerShape.OpenCircle);
        Add("step with a refresh", MarkerShape.OpenDiamond);

        void Add(string text, MarkerShape shape) =>
            plot.Legend.ManualItems.Add(
                new()
                {
                    LabelText = text,
                    MarkerShape = shape,
                    MarkerSize = 10,
                    MarkerColor = Colors.Black,
                    MarkerFillColor = Colors.Black,
                    MarkerLineColor = Colors.Black,
                    MarkerLineWidth = 2,
                }
            );
    }
}
