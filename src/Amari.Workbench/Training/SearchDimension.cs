using System.Globalization;

namespace Amari.Training;

/// <summary>One option that tuning varies.</summary>
/// <param name="Option">Its name, as in settings.</param>
public abstract record SearchDimension(string Option)
{
    /// <summary>The value of another option with which this one has no effect; null for none.</summary>
    public (string Option, string Value)? Unless { get; init; }

    /// <summary>The value at u in [0, 1], as on a command line; numbers with three digits.</summary>
    public abstract string At(double u);
}
