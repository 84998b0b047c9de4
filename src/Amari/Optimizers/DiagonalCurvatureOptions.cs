using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Spectrum;

namespace Amari;

/// <summary>Hyper-parameters of methods that scale the step by a diagonal of curvature.</summary>
public abstract record DiagonalCurvatureOptions : MomentumOptions
{
    /// <inheritdoc cref="GroupedOptions(double, double)"/>
    protected DiagonalCurvatureOptions(double learningRate, double weightDecay = 0)
        : base(learningRate, weightDecay) { }

    /// <summary>How the diagonal is estimated.</summary>
    public DiagonalEstimate Estimate
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>Steps between two estimates, ≥ 1.</summary>
    public int Interval
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 10;

    /// <summary>Random draws or probes per estimate, ≥ 1.</summary>
    public int Samples
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 1;

    /// <summary>Seed of the draws, which differ from step to step.</summary>
    public long Seed { get; init; }
}
