using System.Text.Json.Serialization;
using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How the damped curvature of a layer is inverted, with the settings of each way. The factored ways damp A and G by themselves
/// (<see cref="DampingMethod.FactoredTikhonov"/>); <see cref="Eigenbasis"/> and <see cref="EigenvalueCorrection"/> damp A ⊗ G
/// exactly.</summary>
[
    JsonDerivedType(typeof(Cholesky), nameof(Cholesky)),
    JsonDerivedType(typeof(NewtonSchulz), nameof(NewtonSchulz)),
    JsonDerivedType(typeof(Auto), nameof(Auto)),
    JsonDerivedType(typeof(Nystrom), nameof(Nystrom)),
    JsonDerivedType(typeof(Eigenbasis), nameof(Eigenbasis)),
    JsonDerivedType(typeof(EigenvalueCorrection), nameof(EigenvalueCorrection))
]
public abstract record InverseOptions
{
    private InverseOptions() { }

    internal abstract DampingMethod Damping { get; }

    /// <summary>Of damped factors.</summary>
    internal virtual InverseMethod Method => InverseMethod.Cholesky;

    /// <summary>What inverses are kept in.</summary>
    internal virtual MatmulPrecision Kept => MatmulPrecision.Full;

    /// <summary>The inverse of (A + π√λ I) ⊗ (G + √λ/π I): see <see cref="DampingMethod.FactoredTikhonov"/>.</summary>
    public abstract record Factored : InverseOptions
    {
        private protected Factored() { }

        /// <summary>What the inverses are kept in, and the two products of a step computed in; they are made in full. In bfloat16 they
        /// take half of the memory. Inverses of low rank stay as the factors are.</summary>
        public MatmulPrecision Precision
        {
            get;
            init => field = Require.Defined(value);
        }

        internal override DampingMethod Damping => DampingMethod.FactoredTikhonov;

        internal override MatmulPrecision Kept => Precision;
    }

    /// <summary>By Cholesky.</summary>
    public sealed record Cholesky : Factored;

    /// <summary>By Newton-Schulz iteration from the last inverse, products alone; by Cholesky where there is none, and, reported, where it
    /// is too far: when factors or damping changed much since the last refresh.</summary>
    public sealed record NewtonSchulz : Factored
    {
        internal override InverseMethod Method => InverseMethod.NewtonSchulz;
    }

    /// <summary>For each size of factors by <see cref="Cholesky"/> or <see cref="NewtonSchulz"/>, whichever takes less time here, measured
    /// at the second, fourth, eighth, ... refresh; below a size of 128 by Cholesky. By the clock, so that runs are not repeatable to the
    /// last bit; a resumed run goes on with what was chosen, and ranks choose together. Events say which.</summary>
    public sealed record Auto : Factored
    {
        internal override InverseMethod Method => InverseMethod.Auto;
    }

    /// <summary>Of factors of size 128 and more the largest eigenvalues alone, as many as <see cref="RankTolerance"/> asks for, the rest by
    /// their mean (randomized Nyström approximation; Frangella, Tropp and Udell 2023): what lies below the damping hardly differs from it.
    /// Refresh and step cost by the rank. By Cholesky where over a quarter of the eigenvalues would be needed, in layers of groups, and
    /// while <see cref="RefreshOptions.Warmup"/> refreshes at every step. Events give the ranks.</summary>
    public sealed record Nystrom : Factored
    {
        /// <summary>τ > 0: the least rank is taken at which the inverse of a damped factor is off by a factor of 1 ± τ at most in any
        /// direction, as far as the directions that are kept show.</summary>
        public double RankTolerance
        {
            get;
            init => field = Require.Positive(value);
        } = 0.2;

        internal override InverseMethod Method => InverseMethod.Nystrom;
    }

    /// <summary>A ⊗ G + λ I exactly: see <see cref="DampingMethod.Eigenbasis"/>.</summary>
    public sealed record Eigenbasis : InverseOptions
    {
        internal override DampingMethod Damping => DampingMethod.Eigenbasis;
    }

    /// <summary>EKFAC: see <see cref="DampingMethod.Ekfac"/>.</summary>
    public sealed record EigenvalueCorrection : InverseOptions
    {
        internal override DampingMethod Damping => DampingMethod.Ekfac;
    }

    /// <summary>A damping with its defaults; the factored one by Cholesky.</summary>
    internal static InverseOptions Of(DampingMethod method) =>
        Require.Defined(method) switch
        {
            DampingMethod.FactoredTikhonov => new Cholesky(),
            DampingMethod.Eigenbasis => new Eigenbasis(),
            _ => new EigenvalueCorrection(),
        };

    /// <summary>A factored way with its defaults.</summary>
    internal static InverseOptions Of(InverseMethod method) =>
        Require.Defined(method) switch
        {
            InverseMethod.Cholesky => new Cholesky(),
            InverseMethod.NewtonSchulz => new NewtonSchulz(),
            InverseMethod.Auto => new Auto(),
            _ => new Nystrom(),
        };
}
