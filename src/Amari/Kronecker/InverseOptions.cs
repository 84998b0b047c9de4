using System.Text.Json.Serialization;
using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How the damped curvature of a layer is inverted, with the settings of each method. The <see cref="Factored"/> methods damp A
/// and G separately (<see cref="DampingMethod.FactoredTikhonov"/>). <see cref="Eigenbasis"/> and <see cref="EigenvalueCorrection"/> damp A
/// ⊗ G exactly.</summary>
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

        /// <summary>The number type in which inverses are stored, and in which the two products of a step are computed. Inverses are
        /// computed in full precision. In bfloat16 they take half of the memory. Low-rank inverses keep the type of the factors.</summary>
        public MatmulPrecision Precision
        {
            get;
            init => field = Require.Defined(value);
        }

        internal override DampingMethod Damping => DampingMethod.FactoredTikhonov;

        internal override MatmulPrecision Kept => Precision;
    }

    /// <summary>By Cholesky factorisation.</summary>
    public sealed record Cholesky : Factored;

    /// <summary>By a Newton-Schulz iteration from the last inverse, which needs only products. Cholesky is used if there is no last
    /// inverse. It is also used, and reported, if the last inverse is too far away because factors or damping changed much since the last
    /// refresh.</summary>
    public sealed record NewtonSchulz : Factored
    {
        internal override InverseMethod Method => InverseMethod.NewtonSchulz;
    }

    /// <summary>For each factor size, the faster of <see cref="Cholesky"/> and <see cref="NewtonSchulz"/>, measured at the refreshes 2, 4,
    /// 8, ...; below a size of 128 Cholesky. The choice depends on the clock, so runs are not repeatable to the last bit. A resumed run
    /// keeps the choice, and all ranks make the same. Events report it.</summary>
    public sealed record Auto : Factored
    {
        internal override InverseMethod Method => InverseMethod.Auto;
    }

    /// <summary>For factors of size 256 or more, a low-rank approximation (randomized Nyström approximation; Frangella, Tropp and Udell
    /// 2023). It keeps as many of the largest eigenvalues as <see cref="RankTolerance"/> requires, and replaces the others by their mean:
    /// eigenvalues below the damping hardly differ from it. The cost of a refresh and of a step depends on the rank. Cholesky is used if
    /// more than a quarter of the eigenvalues would be needed, in layers with groups, and while <see cref="RefreshOptions.Warmup"/>
    /// refreshes more often than every 8 steps. Events report the ranks.</summary>
    public sealed record Nystrom : Factored
    {
        /// <summary>τ > 0: the smallest rank is taken for which, in every direction, the inverse of a damped factor is off by a factor of
        /// at most 1 ± τ, as estimated from the kept directions.</summary>
        public double RankTolerance
        {
            get;
            init => field = Require.Positive(value);
        } = 0.2;

        internal override InverseMethod Method => InverseMethod.Nystrom;
    }

    /// <summary>Of A ⊗ G + λ I, exactly: see <see cref="DampingMethod.Eigenbasis"/>.</summary>
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
