using System.Text.Json.Serialization;
using Amari.Native;

namespace Amari;

/// <summary>The gradients from which the factor G is computed, with the settings of each kind: see <see cref="FisherKind"/>.</summary>
[
    JsonDerivedType(typeof(Exact), nameof(Exact)),
    JsonDerivedType(typeof(MonteCarlo), nameof(MonteCarlo)),
    JsonDerivedType(typeof(CurvaturePropagation), nameof(CurvaturePropagation)),
    JsonDerivedType(typeof(Empirical), nameof(Empirical)),
    JsonDerivedType(typeof(ForwardOnly), nameof(ForwardOnly))
]
public abstract record FisherOptions
{
    private FisherOptions() { }

    internal abstract FisherKind Kind { get; }

    /// <summary>Extra backward passes of a drawn Fisher.</summary>
    internal virtual int Draws => 1;

    /// <summary>The exact Fisher: one backward pass for each output, without sampling noise.</summary>
    public sealed record Exact : FisherOptions
    {
        internal override FisherKind Kind => FisherKind.Exact;
    }

    /// <summary>Labels drawn from the model's predictions.</summary>
    public sealed record MonteCarlo : FisherOptions
    {
        /// <summary>Draws per pass, ≥ 1.</summary>
        public int Samples
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 1;

        internal override FisherKind Kind => FisherKind.MonteCarlo;

        internal override int Draws => Samples;
    }

    /// <summary>Random signs times the root of the output Fisher.</summary>
    public sealed record CurvaturePropagation : FisherOptions
    {
        /// <summary>Draws per pass, ≥ 1.</summary>
        public int Samples
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 1;

        internal override FisherKind Kind => FisherKind.CurvaturePropagation;

        internal override int Draws => Samples;
    }

    /// <summary>The gradients of the training loss: needs no extra pass and no likelihood.</summary>
    public sealed record Empirical : FisherOptions
    {
        internal override FisherKind Kind => FisherKind.Empirical;
    }

    /// <summary>Only the inputs of the layers: G = I.</summary>
    public sealed record ForwardOnly : FisherOptions
    {
        internal override FisherKind Kind => FisherKind.ForwardOnly;
    }

    /// <summary>The options of a kind, with its defaults.</summary>
    public static FisherOptions Of(FisherKind kind) => Of(kind, 1);

    /// <summary>The options of a kind, and the number of draws of one that is drawn.</summary>
    internal static FisherOptions Of(FisherKind kind, int samples) =>
        Require.Defined(kind) switch
        {
            FisherKind.Exact => new Exact(),
            FisherKind.MonteCarlo => new MonteCarlo { Samples = samples },
            FisherKind.CurvaturePropagation => new CurvaturePropagation { Samples = samples },
            FisherKind.Empirical => new Empirical(),
            _ => new ForwardOnly(),
        };
}
