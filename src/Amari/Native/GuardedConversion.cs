using System.Numerics;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>TorchSharp's conversions of numbers, as in <c>x.ToInt64()</c> and <c>(float)x</c>, of numbers that do not fit.</summary>
/// <remarks>The native functions of TorchSharp 0.107 end the process: a NaN as an integer, 3e9 as an <see cref="int"/>, 1e300 as a
/// <see cref="float"/>. TorchSharp asks for no error after them, so they cannot throw: here (<see cref="Diversion"/>) the number becomes
/// the nearest one that fits, ±∞ for <see cref="float"/> and 0 for a NaN, which is reported once on standard error. Numbers that fit are
/// converted as before.</remarks>
internal static unsafe partial class GuardedConversion
{
    private const string Library = "LibTorchSharp";
    private const double LargestLong = 9223372036854774784; // below long.MaxValue, which is no double

    private static nint _int8,
        _uint8,
        _int16,
        _int32,
        _int64,
        _float32;
    private static int _reported;

    /// <summary>Puts them in the place of the native functions; once.</summary>
    /// <returns>Why one cannot be, in words that follow "because"; null where all are.</returns>
    public static string? TryInstall()
    {
        using Scalar one = 1;
        return Diversion.TryPut(
                "SByte THSTorch_scalar_to_int8(IntPtr)",
                (nint)(delegate* unmanaged<nint, sbyte>)&ToSByte,
                () => one.ToSByte(),
                out _int8
            )
            ?? Diversion.TryPut(
                "Byte THSTorch_scalar_to_uint8(IntPtr)",
                (nint)(delegate* unmanaged<nint, byte>)&ToByte,
                () => one.ToByte(),
                out _uint8
            )
            ?? Diversion.TryPut(
                "Int16 THSTorch_scalar_to_int16(IntPtr)",
                (nint)(delegate* unmanaged<nint, short>)&ToInt16,
                () => one.ToInt16(),
                out _int16
            )
            ?? Diversion.TryPut(
                "Int32 THSTorch_scalar_to_int32(IntPtr)",
                (nint)(delegate* unmanaged<nint, int>)&ToInt32,
                () => one.ToInt32(),
                out _int32
            )
            ?? Diversion.TryPut(
                "Int64 THSTorch_scalar_to_int64(IntPtr)",
                (nint)(delegate* unmanaged<nint, long>)&ToInt64,
                () => one.ToInt64(),
                out _int64
            )
            ?? Diversion.TryPut(
                "Single THSTorch_scalar_to_float32(IntPtr)",
                (nint)(delegate* unmanaged<nint, float>)&ToSingle,
                () => one.ToSingle(),
                out _float32
            );
    }

    [UnmanagedCallersOnly]
    private static sbyte ToSByte(nint scalar) =>
        Nearest(scalar, nameof(SByte), sbyte.MinValue, sbyte.MaxValue) is { } near
            ? (sbyte)near
            : ((delegate* unmanaged<nint, sbyte>)_int8)(scalar);

    [UnmanagedCallersOnly]
    private static byte ToByte(nint scalar) =>
        Nearest(scalar, nameof(Byte), Math.BitIncrement(-1.0), byte.MaxValue) is { } near
            ? (byte)Math.Max(near, 0)
            : ((delegate* unmanaged<nint, byte>)_uint8)(scalar);

    [UnmanagedCallersOnly]
    private static short ToInt16(nint scalar) =>
        Nearest(scalar, nameof(Int16), short.MinValue, short.MaxValue) is { } near
            ? (short)near
            : ((delegate* unmanaged<nint, short>)_int16)(scalar);

    [UnmanagedCallersOnly]
    private static int ToInt32(nint scalar) =>
        Nearest(scalar, nameof(Int32), int.MinValue, int.MaxValue) is { } near
            ? (int)near
            : ((delegate* unmanaged<nint, int>)_int32)(scalar);

    [UnmanagedCallersOnly]
    private static long ToInt64(nint scalar) =>
        Nearest(scalar, nameof(Int64), long.MinValue, LargestLong) is { } near
            ? near < LargestLong
                ? (long)near
                : long.MaxValue
            : ((delegate* unmanaged<nint, long>)_int64)(scalar);

    [UnmanagedCallersOnly]
    private static float ToSingle(nint scalar) =>
        Nearest(scalar, nameof(Single), float.MinValue, float.MaxValue) is { } near
            ? (float)near
            : ((delegate* unmanaged<nint, float>)_float32)(scalar);

    /// <summary>The nearest number in a range, 0 for a NaN, and the number itself for <see cref="float"/>; null if libtorch converts
    /// it.</summary>
    private static double? Nearest(nint scalar, string type, double least, double most)
    {
        Diversion.Calls++;
        double value,
            imaginary = 0;
        switch ((ScalarType)THSTorch_scalar_type(scalar))
        {
            case ScalarType.Float64:
                value = THSTorch_scalar_to_float64(scalar);
                break;
            case ScalarType.Int64 when type != nameof(Int64):
                value = THSTorch_scalar_to_int64(scalar);
                if (type == nameof(Byte))
                    least = -byte.MaxValue; // libtorch takes small negative integers, modulo 256
                break;
            case ScalarType.ComplexFloat64:
                THSTorch_scalar_to_complex64(scalar, out value, out imaginary);
                break;
            default:
                return null;
        }
        bool single = type == nameof(Single);
        if (imaginary == 0 && ((value >= least && value <= most) || (single && !double.IsFinite(value))))
            return null;
        Report(type, imaginary == 0 ? value : (object)new Complex(value, imaginary));
        return single ? value
            : double.IsNaN(value) ? 0
            : Math.Clamp(value, least, most);
    }

    private static void Report(string type, object value)
    {
        if (Interlocked.Exchange(ref _reported, 1) == 0)
            NativeError.Write(
                FormattableString.Invariant(
                    $"A number that does not fit {type} is converted to it: {value}. The nearest that fits is taken, here and from now on."
                )
            );
    }

    [LibraryImport(Library), SuppressGCTransition]
    private static partial sbyte THSTorch_scalar_type(nint scalar);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial double THSTorch_scalar_to_float64(nint scalar);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial long THSTorch_scalar_to_int64(nint scalar);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial void THSTorch_scalar_to_complex64(nint scalar, out double real, out double imaginary);
}
