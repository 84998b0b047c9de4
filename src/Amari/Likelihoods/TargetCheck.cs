using Amari.Native;

namespace Amari.Likelihoods;

/// <summary>Checks targets against outputs before libtorch sees them. Libtorch would broadcast [n, 1] against [n], and a label out of range
/// invalidates a GPU context.</summary>
/// <param name="likelihood">The likelihood's name, for messages.</param>
internal sealed class TargetCheck(string likelihood)
{
    /// <summary>The label of an ignored position, as in torch's cross-entropy.</summary>
    public const long Ignored = -100;

    private long[]? _inRange; // the last shape with values in range on a GPU: later steps do not wait for the check

    /// <summary>The targets in the output's dtype.</summary>
    /// <param name="output">f.</param>
    /// <param name="target">y: any real numbers.</param>
    /// <param name="shape">The required shape of y.</param>
    /// <param name="pattern">The shape as the documentation writes it.</param>
    /// <param name="min">The minimum.</param>
    /// <param name="max">The maximum.</param>
    /// <exception cref="ArgumentException">The shape, the type or a value is wrong.</exception>
    public Tensor Numbers(Tensor output, Tensor target, ReadOnlySpan<long> shape, string pattern, double? min = null, double? max = null)
    {
        Output(output, target);
        Shape(output, target, shape, pattern);
        if (target.is_complex())
            throw Error(output, target, "the targets must be real numbers");
        if ((min ?? max) is not null && target.numel() > 0 && !IsKnown(target))
            Range(output, target, min, max);
        return target.dtype == output.dtype ? target : target.to_type(output.dtype);
    }

    /// <summary>The labels as int64, and the number of those that count.</summary>
    /// <param name="output">f : [n, C] or [n, r.., C].</param>
    /// <param name="target">y : integers [n] or [n, r..] in [0, C), or -100.</param>
    /// <exception cref="ArgumentException">The shape, the type or a label is wrong.</exception>
    public (Tensor Labels, long Counted) Labels(Tensor output, Tensor target)
    {
        Output(output, target);
        if (output.dim() < 2)
            throw Error(output, target, "outputs must be [n, C] or [n, r.., C]");
        Shape(output, target, output.shape.AsSpan(..^1), "[n] for outputs [n, C], [n, r..] for [n, r.., C]");
        if (!IsInteger(target.dtype))
            throw Error(output, target, "labels must be integers, such as Int64");
        var labels = target.dtype == ScalarType.Int64 ? target : target.to_type(ScalarType.Int64);
        long classes = output.shape[^1],
            left = 0;
        if (labels.device_type == DeviceType.CPU && LibTorch.IsContiguous(labels.Handle))
        {
            foreach (long y in Elements(labels))
                if (y == Ignored)
                    left++;
                else if (y < 0 || y >= classes)
                    throw OutOfRange(y);
            GC.KeepAlive(labels);
        }
        else if (labels.numel() > 0)
        {
            using var off = no_grad();
            using var scope = NewDisposeScope();
            var ignored = labels.eq(Ignored);
            var wrong = labels.lt(0).logical_and_(ignored.logical_not()).logical_or_(labels.ge(classes));
            double[] counts = stack([ignored.sum(), wrong.sum()]).Elements<double>();
            left = (long)counts[0];
            if (counts[1] > 0)
                throw OutOfRange(labels.masked_select(wrong)[0].ToInt64());
        }
        return (labels, labels.numel() - left);

        ArgumentException OutOfRange(long label) =>
            Error(output, target, $"a label is {label}; it must be in [0, {classes}), or {Ignored} to ignore the position");
    }

    private static unsafe ReadOnlySpan<long> Elements(Tensor labels) =>
        new((void*)LibTorch.DataPointer(labels.Handle), checked((int)labels.numel()));

    private void Output(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        if (output.dim() == 0)
            throw Error(output, target, "outputs must have a dimension of examples, [n, ..]");
        if (!output.is_floating_point())
            throw Error(output, target, "outputs must be floating-point numbers");
        if (output.device_type != target.device_type)
            throw Error(output, target, $"the outputs are on {output.device}, the targets on {target.device}");
    }

    private void Shape(Tensor output, Tensor target, ReadOnlySpan<long> shape, string pattern)
    {
        if (!target.shape.AsSpan().SequenceEqual(shape))
            throw Error(output, target, $"targets must be {pattern}, here [{string.Join(", ", shape.ToArray())}]");
    }

    private bool IsKnown(Tensor target) =>
        target.device_type != DeviceType.CPU && _inRange is { } known && known.AsSpan().SequenceEqual(target.shape);

    private void Range(Tensor output, Tensor target, double? min, double? max)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        double[] ends = stack([target.min(), target.max()]).Elements<double>();
        if (ends[0] < min || ends[1] > max) // NaN passes: the loss is then not finite and the step is skipped
            throw Error(
                output,
                target,
                FormattableString.Invariant($"the targets lie between {ends[0]:G6} and {ends[1]:G6}; they must be ")
                    + (max is null ? FormattableString.Invariant($"at least {min}") : FormattableString.Invariant($"in [{min}, {max}]"))
            );
        _inRange = target.shape;
    }

    private static bool IsInteger(ScalarType type) =>
        type is ScalarType.Int64 or ScalarType.Int32 or ScalarType.Int16 or ScalarType.Int8 or ScalarType.Byte;

    private ArgumentException Error(Tensor output, Tensor target, string expected) =>
        new($"{likelihood}: {expected}. The outputs are {Describe(output)}, the targets {Describe(target)}.", nameof(target));

    private static string Describe(Tensor t) => $"{t.dtype} [{string.Join(", ", t.shape)}]";
}
