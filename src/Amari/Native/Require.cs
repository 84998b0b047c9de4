using System.Numerics;
using System.Runtime.CompilerServices;

namespace Amari.Native;

/// <summary>Argument checks of options: each returns the value or throws one sentence with the value and the allowed range.</summary>
internal static class Require
{
    public static double UnitInterval(double value, [CallerMemberName] string name = "") =>
        value is >= 0 and < 1 ? value : throw Error(name, value, "in [0, 1)");

    public static double Fraction(double value, [CallerMemberName] string name = "") =>
        value is >= 0 and <= 1 ? value : throw Error(name, value, "in [0, 1]");

    public static double NonNegative(double value, [CallerMemberName] string name = "") =>
        value >= 0 && double.IsFinite(value) ? value : throw Error(name, value, "a finite number >= 0");

    public static double Finite(double value, [CallerArgumentExpression(nameof(value))] string name = "") =>
        double.IsFinite(value) ? value : throw Error(name, value, "a finite number");

    public static double Positive(double value, [CallerMemberName] string name = "") =>
        value > 0 && double.IsFinite(value) ? value : throw Error(name, value, "a finite number > 0");

    public static double? PositiveOrNull(double? value, [CallerMemberName] string name = "") =>
        value is null ? null : Positive(value.Value, name);

    public static double? NonNegativeOrNull(double? value, [CallerMemberName] string name = "") =>
        value is null ? null : NonNegative(value.Value, name);

    public static double? AboveOneOrNull(double? value, [CallerMemberName] string name = "") =>
        value is null or (> 1 and < double.PositiveInfinity) ? value : throw Error(name, value.Value, "a finite number > 1");

    public static double Share(double value, [CallerMemberName] string name = "") =>
        value is > 0 and < 1 ? value : throw Error(name, value, "in (0, 1)");

    public static double? ShareOrNull(double? value, [CallerMemberName] string name = "") =>
        value is null ? null : Share(value.Value, name);

    public static T AtLeast<T>(T minimum, T value, [CallerMemberName] string name = "")
        where T : IBinaryInteger<T> => value >= minimum ? value : throw Error(name, value, $"an integer >= {minimum}");

    public static double AtLeast(double minimum, double value, [CallerMemberName] string name = "") =>
        value >= minimum && double.IsFinite(value)
            ? value
            : throw Error(name, value, FormattableString.Invariant($"a finite number >= {minimum}"));

    public static TEnum Defined<TEnum>(TEnum value, [CallerMemberName] string name = "")
        where TEnum : struct, Enum =>
        Enum.IsDefined(value) ? value : throw Error(name, value, "one of " + string.Join(", ", Enum.GetNames<TEnum>()));

    /// <summary>At least one parameter is trainable: an optimizer over nothing is a mistake, as torch has it.</summary>
    public static void Trainable(IEnumerable<Parameter> parameters, string optimizer)
    {
        int count = 0;
        foreach (var p in parameters)
        {
            if (p.requires_grad)
                return;
            count++;
        }
        throw new ArgumentException(
            count == 0
                ? $"{optimizer} was given no parameters: there is nothing to train."
                : $"All parameters that {optimizer} was given are frozen (requires_grad is false): thaw one beforehand.",
            nameof(parameters)
        );
    }

    /// <summary>The model has a parameter that is trained.</summary>
    /// <param name="model">The model.</param>
    /// <param name="purpose">What it is for: a verb.</param>
    public static void Parameters(nn.Module model, string purpose)
    {
        if (!model.parameters().Any(p => p.requires_grad))
            throw new ArgumentException(
                $"The model {model.GetName()} has no parameters that are trained: there is nothing to {purpose}.",
                nameof(model)
            );
    }

    /// <summary>Real floating-point numbers: the moments of complex ones would turn the step.</summary>
    public static void Real(string name, Tensor parameter)
    {
        if (!parameter.is_floating_point())
            throw new ArgumentException(
                $"The parameter '{name}' is {parameter.dtype}; optimizers take real floating-point numbers, complex ones as pairs.",
                nameof(parameter)
            );
    }

    /// <summary>Numbers that lie each in memory of its own: torch writes to no others.</summary>
    public static void Separate(string name, Tensor parameter)
    {
        if (parameter.is_sparse || parameter.numel() == 0)
            return;
        long reach = 0; // how far from its first number a slice of smaller strides ends
        foreach (var (size, stride) in parameter.shape.Zip(parameter.stride()).Where(d => d.First > 1).OrderBy(d => d.Second))
        {
            if (stride <= reach)
                throw new ArgumentException(
                    $"The parameter '{name}' [{string.Join(", ", parameter.shape)}] has numbers that share memory, as expand() leaves "
                        + "them, "
                        + "and cannot be written to: make it of a tensor with memory of its own, by .clone() or .contiguous().",
                    nameof(parameter)
                );
            reach += stride * (size - 1);
        }
    }

    /// <summary>One sentence with the value and the allowed range.</summary>
    public static ArgumentOutOfRangeException Error(string name, object value, string range) =>
        new(name, FormattableString.Invariant($"{name} is {value}; it must be {range}."));
}
