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

    /// <summary>How it is estimated.</summary>
    public DiagonalEstimate Estimate
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>Steps from one estimate to the next, ≥ 1.</summary>
    public int Interval
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 10;

    /// <summary>Draws or probes of one estimate, ≥ 1.</summary>
    public int Samples
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 1;

    /// <summary>Seed of the draws; each step makes its own.</summary>
    public long Seed { get; init; }
}
