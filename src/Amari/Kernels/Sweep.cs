using System.Runtime.Intrinsics;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>Parameters, gradients and states of many tensors, over which a kernel runs in one parallel pass, cut into chunks over all
/// tensors at once.</summary>
/// <remarks>Takes dense, contiguous tensors on the CPU: parameter and gradient both float32 or both bfloat16, states float32 or small
/// (<see cref="SmallState"/>). Results do not depend on the number of threads nor on the width of registers. Writes past libtorch: version
/// counters of the tensors do not move.</remarks>
internal sealed unsafe class Sweep
{
    private SweepSegment[] _segments = new SweepSegment[64];
    private double[] _sums = [];
    private long _end;

    /// <summary>Numbers computed side by side; tests choose fewer than the hardware has.</summary>
    public int Width { get; init; } =
        Vector512.IsHardwareAccelerated ? 16
        : Vector256.IsHardwareAccelerated ? 8
        : Vector128.IsHardwareAccelerated ? 4
        : 1;

    /// <summary>Elements that a cache may hold with their states from one step to the next: beyond, kernels read
    /// <see cref="Streamed{L}"/>.</summary>
    public long Cached { get; init; } = 1 << 21;

    /// <summary>How many rows.</summary>
    public int Count { get; private set; }

    /// <summary>How many state tensors each row has.</summary>
    public int StateCount { get; private set; }

    /// <summary>Whether all that the rows hold is float32.</summary>
    public bool IsFloat32 { get; private set; } = true;

    /// <summary>Removes all rows.</summary>
    public void Clear() => (Count, StateCount, _end, IsFloat32) = (0, 0, 0, true);

    /// <summary>Adds a parameter; false if the kernels cannot do it.</summary>
    /// <param name="row">The caller's own for this parameter; to be reset to the default value whenever the states are replaced.</param>
    /// <param name="parameter">Handle of w.</param>
    /// <param name="gradient">Handle of its gradient.</param>
    /// <param name="states">Handles of up to three states (two, if small), all float32, bfloat16, or 8-bit blocks followed by as many
    /// tensors of scales; the same number for all rows.</param>
    /// <param name="step">How many updates the parameter has had, this one included.</param>
    public bool TryAdd(ref SweepRow row, nint parameter, nint gradient, nint[] states, long step = 1)
    {
        if (
            !(IsAsBefore(row, gradient) && TensorHeader.Of(parameter).Equals(row.Parameter)) && !Check(ref row, parameter, gradient, states)
        )
            return false;
        StateCount = states.Length;
        Append(
            new SweepSegment
            {
                Parameter = parameter,
                Gradient = gradient,
                S = row.State0,
                T = row.State1,
                U = row.State2,
                ScalesS = row.Scales0,
                ScalesT = row.Scales1,
                StateType = row.StateType,
                Step = step,
                Length = row.Length,
                IsBFloat16 = row.IsBFloat16,
            }
        );
        return true;
    }

    /// <summary>Adds a gradient alone, for <see cref="SumOfSquares"/> and <see cref="IsWithin"/>.</summary>
    /// <param name="row">The parameter's row; left as it is.</param>
    /// <param name="gradient">Handle of the gradient.</param>
    public bool TryAddGradient(in SweepRow row, nint gradient)
    {
        var (length, isBFloat16) = (row.Length, row.IsBFloat16);
        if (!IsAsBefore(row, gradient))
        {
            var type = LibTorch.Type(gradient);
            (length, isBFloat16) = (LibTorch.Count(gradient), type == ScalarType.BFloat16);
            if (!IsTrained(type) || !IsUsable(gradient, type, length))
                return false;
        }
        Append(
            new SweepSegment
            {
                Gradient = gradient,
                Length = length,
                IsBFloat16 = isBFloat16,
            }
        );
        return true;
    }

    private static bool IsAsBefore(in SweepRow row, nint gradient) =>
        row.Length > 0 && TensorHeader.IsKnown && TensorHeader.Of(gradient).Equals(row.Gradient);

    private static bool Check(ref SweepRow row, nint parameter, nint gradient, nint[] states)
    {
        row = default;
        var (type, length) = (LibTorch.Type(parameter), LibTorch.Count(parameter));
        if (!IsTrained(type) || !IsUsable(parameter, type, length) || !IsUsable(gradient, type, length))
            return false;
        var stateType = states.Length > 0 && SmallState.IsSmall(LibTorch.Type(states[0])) ? LibTorch.Type(states[0]) : ScalarType.Float32;
        int moments = stateType == ScalarType.Byte ? states.Length / 2 : states.Length;
        for (int i = 0; i < states.Length; i++)
            if (
                !(i < moments ? IsUsable(states[i], stateType, length) : IsUsable(states[i], ScalarType.Float32, SmallState.Blocks(length)))
            )
                return false;
        row = new()
        {
            State0 = Address(0, moments),
            State1 = Address(1, moments),
            State2 = Address(2, moments),
            Scales0 = Address(moments, states.Length),
            Scales1 = Address(moments + 1, states.Length),
            StateType = stateType,
            Length = length,
            IsBFloat16 = type == ScalarType.BFloat16,
        };
        if (TensorHeader.IsKnown)
            (row.Parameter, row.Gradient) = (TensorHeader.Of(parameter), TensorHeader.Of(gradient));
        return true;

        nint Address(int state, int end) => state < end ? LibTorch.DataPointer(states[state]) : 0;
    }

    private static bool IsTrained(ScalarType type) => type is ScalarType.Float32 or ScalarType.BFloat16;

    // A sparse or empty tensor has no data; asking a sparse one for its layout would be an error.
    private static bool IsUsable(nint tensor, ScalarType type, long length) =>
        LibTorch.DataPointer(tensor) != 0
        && LibTorch.Type(tensor) == type
        && LibTorch.Count(tensor) == length
        && LibTorch.Device(tensor) == DeviceType.CPU
        && LibTorch.IsContiguous(tensor);

    private void Append(SweepSegment segment)
    {
        if (Count == _segments.Length)
            Array.Resize(ref _segments, 2 * Count);
        if (!TensorHeader.IsKnown)
        {
            if (segment.Parameter != 0)
                segment.W = LibTorch.DataPointer(segment.Parameter);
            (segment.G, segment.Parameter, segment.Gradient) = (LibTorch.DataPointer(segment.Gradient), 0, 0);
        }
        IsFloat32 &= !segment.IsBFloat16 && (segment.S == 0 || segment.StateType == ScalarType.Float32);
        segment.Start = _end;
        _end += (segment.Length + SweepPass.Align - 1) & -SweepPass.Align;
        segment.End = _end;
        _segments[Count++] = segment;
    }

    /// <summary>Runs a kernel over all rows.</summary>
    public void Run<TKernel>(TKernel kernel)
        where TKernel : unmanaged, IKernel
    {
        switch (Width)
        {
            case 16:
                Run<TKernel, Lanes512>(kernel);
                break;
            case 8:
                Run<TKernel, Lanes256>(kernel);
                break;
            case 4:
                Run<TKernel, Lanes128>(kernel);
                break;
            default:
                Run<TKernel, Lanes1>(kernel);
                break;
        }
    }

    private void Run<TKernel, L>(TKernel kernel)
        where TKernel : unmanaged, IKernel
        where L : unmanaged, ILanes<L>
    {
        if (_end > Cached)
            Pass(new KernelPass<TKernel, Streamed<L>>(kernel));
        else
            Pass(new KernelPass<TKernel, L>(kernel));
    }

    /// <summary>Runs a kernel that counts entries; the next one sees their share in each tensor.</summary>
    /// <param name="counting">Calls <see cref="Chunk{L, T, S}.Count"/>.</param>
    /// <param name="minShare">Bound on the share from below.</param>
    public void Tally<TCounting>(TCounting counting, double minShare)
        where TCounting : unmanaged, IKernel
    {
        Run(counting);
        foreach (ref var segment in _segments.AsSpan(0, Count))
            segment.Share = (float)Math.Max(minShare, (double)segment.Agreed / segment.Length);
    }

    /// <summary>The sum of the squares of all gradients, in double precision.</summary>
    public double SumOfSquares()
    {
        Pass(new SquarePass());
        double sum = 0;
        for (int i = 0; i < SweepPass.Chunks(_end); i++)
            sum += _sums[i];
        return sum;
    }

    /// <summary>Whether every entry of every gradient is at most <paramref name="bound"/> in magnitude. NaN is not.</summary>
    /// <param name="bound">≥ 0, rounded to float32.</param>
    public bool IsWithin(double bound)
    {
        Run(new BoundKernel(Math.Min(bound, float.MaxValue)));
        return !HasBeyond;
    }

    /// <summary>The same of a sample, 16 entries of each 65,536, without waking a thread: where one batch's loss is NaN, so are its
    /// gradients throughout.</summary>
    public bool IsWithinSampled(double bound)
    {
        const long Apart = 1 << 16,
            Part = 16;
        double sum = 0;
        var pass = new KernelPass<BoundKernel, Lanes1>(new BoundKernel(Math.Min(bound, float.MaxValue)));
        long next = 0;
        fixed (SweepSegment* segments = _segments)
            for (int i = 0; i < Count; i++)
            for (var s = segments + i; next < s->End; next += Apart)
            {
                SweepPass.Locate(s);
                long from = Math.Min(next - s->Start, s->Length - 1);
                pass.Run(s, from, Math.Min(from + Part, s->Length), ref sum);
            }
        return !HasBeyond;
    }

    /// <summary>Whether a pass met an entry beyond its bound since the rows were added.</summary>
    public bool HasBeyond
    {
        get
        {
            foreach (ref var segment in _segments.AsSpan(0, Count))
                if (segment.HasBeyond)
                    return true;
            return false;
        }
    }

    /// <summary>Elements of all rows, with what is between them.</summary>
    public long Elements => _end;

    /// <summary>Releases the gradients of these parameters; rows of before are removed.</summary>
    public void ZeroGradients(IEnumerable<Parameter> parameters)
    {
        Clear();
        foreach (var p in parameters)
            LibTorch.ReleaseGradient(p.Handle);
    }

    private void Pass<TPass>(TPass pass)
        where TPass : unmanaged, ISweepPass
    {
        int chunks = SweepPass.Chunks(_end);
        if (chunks == 0)
            return;
        if (_sums.Length < chunks)
            _sums = new double[chunks];
        fixed (SweepSegment* segments = _segments)
        fixed (double* sums = _sums)
            SweepPass.Run(pass, segments, _end, sums);
    }
}
