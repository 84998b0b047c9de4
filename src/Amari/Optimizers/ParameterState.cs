using System.Collections.Concurrent;
using System.Reflection;
using Amari.Kernels;
using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

/// <summary>The state of one parameter: a record. The base class saves, loads, moves and disposes its tensor properties.</summary>
/// <remarks>Tensors marked with <see cref="MomentAttribute"/> may be stored in fewer bits. Their blocks then have scales, which are saved
/// with them: those of <c>Momentum</c> as <c>Scales</c>, of <c>FirstMoment</c> as <c>FirstScales</c>, and of another <c>Name</c> as
/// <c>NameScales</c>.</remarks>
public abstract record ParameterState
{
    private readonly Dictionary<string, Tensor> _scales = []; // by the moment's name

    /// <summary>t: the number of updates of this parameter; 1 during the first one.</summary>
    public long Step { get; internal set; }

    /// <summary>Whether a tensor was replaced since the optimizer last looked.</summary>
    internal bool IsRenewed { get; set; }

    /// <summary>Whether there is a moment yet, which has a format.</summary>
    internal bool HasMoments => Moments(GetType()).Any(m => m.Property.GetValue(this) is not null);

    /// <summary>Whether a tensor holds the scales of a moment.</summary>
    internal bool IsScale(string name) => _scales.Keys.Any(m => ScalesOf(m) == name);

    /// <summary>The record's tensors by member name, in the order of declaration, then scales; members that are null are left
    /// out.</summary>
    internal IEnumerable<(string Name, Tensor Tensor)> Tensors()
    {
        foreach (var member in Members(GetType()))
            if (member.GetValue(this) is Tensor tensor)
                yield return (member.Name, tensor);
        foreach (var (moment, _) in Moments(GetType()))
            if (_scales.TryGetValue(moment.Name, out var scales))
                yield return (ScalesOf(moment.Name), scales);
    }

    /// <summary>Replaces the tensor called <paramref name="name"/> by <paramref name="value"/>, which the state then owns.</summary>
    internal void Replace(string name, Tensor value)
    {
        IsRenewed = true;
        value.DetachFromDisposeScope();
        if (_scales.Keys.FirstOrDefault(m => ScalesOf(m) == name) is { } moment)
        {
            _scales[moment].Dispose();
            _scales[moment] = value;
            return;
        }
        var member =
            Array.Find(Members(GetType()), m => m.Name == name)
            ?? throw new InvalidDataException($"{GetType().DeclaringType?.Name} has no state called '{name}'.");
        (member.GetValue(this) as Tensor)?.Dispose();
        member.SetValue(this, value);
    }

    /// <summary>Shows the moments in full, as they are computed; what is left in them is rounded to the format again.</summary>
    /// <param name="format">That they are kept in. One that is new is kept in it from now on.</param>
    /// <param name="type">The dtype to compute in.</param>
    /// <param name="use">Sees and changes the moments. If it throws, they are as before.</param>
    /// <param name="keep">Whether changes are kept.</param>
    /// <param name="rounding">A number that makes the random roundings others than those of other steps.</param>
    internal void WithMoments(StateFormat format, ScalarType type, Action use, bool keep, long rounding)
    {
        if (format == StateFormat.Full)
        {
            use();
            return;
        }
        var kept = new Dictionary<PropertyInfo, Tensor>();
        foreach (var (member, moment) in Moments(GetType()))
            if (member.GetValue(this) is Tensor codes && SmallState.IsSmall(codes.dtype))
            {
                kept[member] = codes;
                member.SetValue(this, SmallState.Widen(codes, _scales.GetValueOrDefault(member.Name), !moment.IsOfSquares, type));
            }
        bool done = false;
        try
        {
            use();
            done = true;
        }
        finally
        {
            foreach (var (i, (member, moment)) in Moments(GetType()).Index())
                if (member.GetValue(this) is Tensor full)
                {
                    bool old = kept.TryGetValue(member, out var codes);
                    codes ??= Begin(member, full, format);
                    if (!old || (keep && done))
                        SmallState.Narrow(
                            full,
                            codes,
                            _scales.GetValueOrDefault(member.Name),
                            !moment.IsOfSquares,
                            SmallState.Salt(rounding, i)
                        );
                    member.SetValue(this, codes);
                    full.Dispose();
                }
        }
    }

    private Tensor Begin(PropertyInfo member, Tensor full, StateFormat format)
    {
        var (codes, scales) = SmallState.Zeros(full, format);
        if (scales is not null)
            _scales[member.Name] = scales.DetachFromDisposeScope();
        IsRenewed = true;
        return codes.DetachFromDisposeScope();
    }

    /// <summary>The names of a state's tensors, and whether states of before one existed go on without it.</summary>
    internal static IReadOnlyDictionary<string, bool> Names(Type type) =>
        Members(type)
            .Select(m => KeyValuePair.Create(m.Name, m.IsDefined(typeof(BeforeAddedAttribute))))
            .Concat(Moments(type).Select(m => KeyValuePair.Create(ScalesOf(m.Property.Name), false)))
            .ToDictionary();

    /// <summary>Refuses a state with a negative number where it can have none.</summary>
    /// <exception cref="InvalidDataException">It has one.</exception>
    internal void RequireNonNegative(string parameter)
    {
        foreach (var member in Members(GetType()))
            if (member.GetValue(this) is Tensor tensor)
                if (member.GetCustomAttribute<NonNegativeAttribute>() is { } rule)
                    NegativeNumbers.Refuse($"{parameter}.{member.Name}", tensor, rule.OnDiagonal);
                else if (member.GetCustomAttribute<MomentAttribute>() is { IsOfSquares: true })
                    NegativeNumbers.Refuse($"{parameter}.{member.Name}", tensor);
        foreach (var (moment, scales) in _scales)
            NegativeNumbers.Refuse($"{parameter}.{ScalesOf(moment)}", scales);
    }

    private static string ScalesOf(string moment) =>
        moment.Replace("Momentum", "", StringComparison.Ordinal).Replace("Moment", "", StringComparison.Ordinal) + "Scales";

    private static readonly ConcurrentDictionary<Type, (PropertyInfo[] Members, (PropertyInfo, MomentAttribute)[] Moments)> Layouts = new();

    private static (PropertyInfo[] Members, (PropertyInfo Property, MomentAttribute Moment)[] Moments) Layout(Type type) =>
        Layouts.GetOrAdd(
            type,
            t =>
            {
                var members = t.GetProperties().Where(p => p.PropertyType == typeof(Tensor)).OrderBy(p => p.MetadataToken).ToArray();
                var moments = members.Select(m => (m, m.GetCustomAttribute<MomentAttribute>())).Where(m => m.Item2 is not null);
                return (members, [.. moments.Select(m => (m.m, m.Item2!))]);
            }
        );

    private static PropertyInfo[] Members(Type type) => Layout(type).Members;

    private static (PropertyInfo Property, MomentAttribute Moment)[] Moments(Type type) => Layout(type).Moments;
}
