using System.Text.Json.Nodes;
using Amari.Optimizers;

namespace Amari;

/// <summary>The learning rate of a parameter group, and what it was before.</summary>
/// <param name="group">The group.</param>
internal sealed class GroupRate(IParameterGroup<Kfac.BaseOptions> group)
{
    /// <summary>The group.</summary>
    public IParameterGroup<Kfac.BaseOptions> Group => group;

    /// <summary>η now.</summary>
    public double Now => group.LearningRate;

    /// <summary>η as the optimizer was made: the fall-back's rate is in proportion.</summary>
    public double First { get; set; } = group.LearningRate;

    /// <summary>The largest η so far; null before the first step.</summary>
    public double? Peak { get; private set; }

    /// <summary>η₋, the last one that was not 0; null before there was one.</summary>
    public double? Last { get; private set; }

    /// <summary>η over the largest one so far: what a schedule leaves of a step that has its own length.</summary>
    public double Share => Math.Max(Peak ?? 0, Now) is > 0 and var peak ? Now / peak : 1;

    /// <summary>μ min(1, η₋/η): what the momentum holds was clipped at the rate of before.</summary>
    public double Carried(double momentum) => Last < Now ? momentum * (Last.Value / Now) : momentum;

    /// <summary>A step begins.</summary>
    public void Begin() => Peak = Math.Max(Peak ?? First, Now);

    /// <summary>A step by this rate is over.</summary>
    public void End() => Last = Now > 0 ? Now : Last;

    /// <summary>Continues from saved rates; the largest stays where a state has none.</summary>
    public void Restore(double first, JsonNode? peak, JsonNode? last) =>
        (First, Peak, Last) = (first, (double?)peak ?? Peak, (double?)last);
}
