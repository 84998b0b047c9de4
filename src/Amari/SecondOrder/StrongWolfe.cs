namespace Amari.SecondOrder;

/// <summary>A line search for the strong Wolfe conditions (Nocedal and Wright 2006, Algorithms 3.5 and 3.6), by cubic
/// interpolation.</summary>
/// <remarks><code>
/// φ(t) = L(w + t p),   φ'(0) &lt; 0
/// φ(t) ≤ φ(0) + c₁ t φ'(0)          the loss falls enough
/// |φ'(t)| ≤ c₂ |φ'(0)|              the slope has flattened: then s'y > 0
/// </code>
/// A point where the loss is not finite ends the interval, which is then halved. Where evaluations run out, or nothing above rounding is to
/// be gained in the interval, the result is the best point at which the loss fell enough, or the start. So it is at 10⁶ times the first
/// step: a loss that still falls there may have no minimum along p.</remarks>
/// <param name="evaluate">φ, φ' and the gradient at t. The gradients of points that are not returned are disposed here.</param>
/// <param name="decrease">c₁.</param>
/// <param name="curvature">c₂.</param>
/// <param name="evaluations">Most evaluations, ≥ 1.</param>
/// <param name="rounding">How far two evaluations of φ may lie apart by rounding.</param>
internal sealed class StrongWolfe(
    Func<double, StrongWolfe.Point> evaluate,
    double decrease,
    double curvature,
    int evaluations,
    double rounding
)
{
    private const double Least = 0.01,
        Most = 10,
        Margin = 0.1; // of the next step beyond the last, and from the ends of an interval
    private const double Furthest = 1e6; // of the first step
    private int _left = evaluations;

    /// <summary>Whether the loss still fell where the search ended for having gone far enough.</summary>
    public bool IsUnbounded { get; private set; }

    /// <param name="Step">t.</param>
    /// <param name="Loss">φ(t).</param>
    /// <param name="Slope">φ'(t).</param>
    /// <param name="Gradient">∇L(w + t p).</param>
    internal readonly record struct Point(double Step, double Loss, double Slope, Tensor Gradient)
    {
        public bool IsFinite => double.IsFinite(Loss) && double.IsFinite(Slope);
    }

    /// <summary>The point found; the given start where the loss has fallen enough nowhere.</summary>
    /// <param name="start">t = 0, with a negative slope; its gradient stays.</param>
    /// <param name="first">The first t > 0.</param>
    /// <param name="isGuess">Whether nothing is known of the scale of t: while what is to be gained is below rounding, it grows.</param>
    public Point Search(Point start, double first, bool isGuess = false)
    {
        var last = start;
        double t = first;
        while (_left > 0)
        {
            var p = At(t);
            if (!Falls(p, start) || p.Loss >= last.Loss)
            {
                p.Gradient.Dispose();
                if (isGuess && t < Furthest * first && Math.Abs(t * start.Slope) <= rounding && Math.Abs(p.Loss - start.Loss) <= rounding)
                {
                    t *= Most;
                    continue;
                }
                return Zoom(start, last, p);
            }
            if (IsFlat(p, start))
                return Instead(p, last, start);
            if (p.Slope >= 0)
                return Zoom(start, Instead(p, last, start), last);
            double next = Cubic(last, p),
                least = t + Least * (t - last.Step);
            last = Instead(p, last, start);
            IsUnbounded = t >= Furthest * first;
            if (IsUnbounded)
                break;
            t = Math.Min(double.IsFinite(next) ? Math.Clamp(next, least, Most * t) : Most * t, Furthest * first);
        }
        return last;
    }

    /// <summary>Between the best point so far and one beyond a minimum, the gradient of which is not needed.</summary>
    private Point Zoom(Point start, Point low, Point high)
    {
        while (_left > 0)
        {
            double width = high.Step - low.Step,
                middle = low.Step + width / 2,
                t = high.IsFinite ? Cubic(low, high) : middle;
            double near = low.Step + Margin * width,
                far = high.Step - Margin * width;
            t = double.IsFinite(t) ? Math.Clamp(t, Math.Min(near, far), Math.Max(near, far)) : middle;
            if (Math.Abs(width * start.Slope) <= rounding)
                break;
            var p = At(t);
            if (!Falls(p, start) || p.Loss >= low.Loss)
            {
                p.Gradient.Dispose();
                high = p;
                continue;
            }
            if (IsFlat(p, start))
                return Instead(p, low, start);
            if (p.Slope * width >= 0)
                high = low;
            low = Instead(p, low, start);
        }
        return low;
    }

    private Point At(double t)
    {
        _left--;
        return evaluate(t);
    }

    private bool Falls(Point p, Point start) => p.IsFinite && p.Loss <= start.Loss + decrease * p.Step * start.Slope;

    private bool IsFlat(Point p, Point start) => Math.Abs(p.Slope) <= curvature * Math.Abs(start.Slope);

    private static Point Instead(Point p, Point old, Point start)
    {
        if (!ReferenceEquals(old.Gradient, start.Gradient))
            old.Gradient.Dispose();
        return p;
    }

    /// <summary>The minimum of the cubic through two points with their slopes (Nocedal and Wright, 3.59); NaN if it has none.</summary>
    private static double Cubic(Point a, Point b)
    {
        double d1 = a.Slope + b.Slope - 3 * (a.Loss - b.Loss) / (a.Step - b.Step);
        double d2 = Math.Sign(b.Step - a.Step) * Math.Sqrt(d1 * d1 - a.Slope * b.Slope);
        return b.Step - (b.Step - a.Step) * (b.Slope + d2 - d1) / (b.Slope - a.Slope + 2 * d2);
    }
}
