using System.Globalization;

namespace Amari.Training;

/// <summary>One option that tuning varies.</summary>
/// <param name="Option">The name of the option, as in settings.</param>
public abstract record SearchDimension(string Option)
{
    /// <summary>Another option and the value with which this dimension has no effect; null for none.</summary>
    public (string Option, string Value)? Unless { get; init; }

    /// <summary>The value at u in [0, 1], as on the command line; numbers have three digits.</summary>
    public abstract string At(double u);
}
