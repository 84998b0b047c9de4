using System.Reflection;
using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

/// <summary>What an optimizer remembers of one parameter: a record whose tensor properties are saved, loaded, moved and disposed by the
/// base class.</summary>
public abstract record ParameterState
{
    /// <summary>t: how many updates this parameter has had; 1 during its first one.</summary>
    public long Step { get; internal set; }

    /// <summary>Whether a tensor was replaced since the optimizer last looked.</summary>
    internal bool IsRenewed { get; set; }

    /// <summary>The record's tensors by member name, in the order of declaration; members that are null are left out.</summary>
    internal IEnumerable<(string Name, Tensor Tensor)> Tensors()
    {
        foreach (var member in Members(GetType()))
            if (member.GetValue(this) is Tensor tensor)
                yield return (member.Name, tensor);
    }

    /// <summary>Replaces the tensor called <paramref name="name"/> by <paramref name="value"/>, which the state then owns.</summary>
    internal void Replace(string name, Tensor value)
    {
        var member =
            Array.Find(Members(GetType()), m => m.Name == name)
            ?? throw new InvalidDataException($"{GetType().DeclaringType?.Name} has no state called '{name}'.");
        (member.GetValue(this) as Tensor)?.Dispose();
        member.SetValue(this, value.DetachFromDisposeScope());
        IsRenewed = true;
    }

    /// <summary>The names of a state's tensors, and whether states of before one existed go on without it.</summary>
    internal static IReadOnlyDictionary<string, bool> Names(Type type) =>
        Members(type).ToDictionary(m => m.Name, m => m.IsDefined(typeof(BeforeAddedAttribute)));

    /// <summary>Refuses a state with a negative number where it can have none.</summary>
    /// <exception cref="InvalidDataException">It has one.</exception>
    internal void RequireNonNegative(string parameter)
    {
        foreach (var member in Members(GetType()))
            if (member.GetValue(this) is Tensor tensor && member.GetCustomAttribute<NonNegativeAttribute>() is { } rule)
                NegativeNumbers.Refuse($"{parameter}.{member.Name}", tensor, rule.OnDiagonal);
    }

    private static PropertyInfo[] Members(Type type) =>
        [.. type.GetProperties().Where(p => p.PropertyType == typeof(Tensor)).OrderBy(p => p.MetadataToken)];
}
