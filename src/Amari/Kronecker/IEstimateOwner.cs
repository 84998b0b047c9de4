using Amari.Distributed;

namespace Amari.Kronecker;

/// <summary>What a <see cref="Curvature.KroneckerEstimate"/> asks whoever it is made for.</summary>
internal interface IEstimateOwner
{
    /// <summary>The options in force.</summary>
    CurvatureOptions Curvature { get; }

    /// <summary>Whether the training loss is the mean or the sum over terms.</summary>
    LossReduction Reduction { get; }

    /// <summary>s of <see cref="CurvatureOptions.IdentityStart"/>, chosen.</summary>
    double Identity { get; }

    /// <summary>Whether the length of steps is that of a quadratic model.</summary>
    bool IsModelled { get; }

    /// <summary>Where the coming pass lies in the batch of all ranks, if it is given.</summary>
    BatchPart? BatchPart { get; }

    /// <summary>What work is timed by.</summary>
    TimeProvider Clock { get; }

    /// <summary>λ, in the unit of the options.</summary>
    double Damping { get; }

    /// <summary>The damping of a block's inverse, in the unit of the options.</summary>
    double DampingOf(CurvatureBlock block);

    /// <summary>Logs what happened, of a layer or of <c>all</c>.</summary>
    void Log(string subject, string message);

    /// <summary>A block's layer cannot be measured: it is to be removed.</summary>
    void Lose(CurvatureBlock block, string reason);
}
