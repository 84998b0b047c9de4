using Amari.Kronecker;

namespace Amari;

/// <summary>What a step rule asks of the <see cref="Kfac"/> that steps by it.</summary>
internal interface IStepOwner
{
    /// <summary>The options that hold for all groups.</summary>
    Kfac.Options Options { get; }

    /// <summary>The options of the rule in force.</summary>
    StepRule StepRule { get; }

    /// <summary>λ of the next step.</summary>
    double Damping { get; }

    /// <summary>What the growth bound leaves of a step of a squared length: a factor of 1 or less. A cut below
    /// <paramref name="already"/>, which another bound has left, is reported.</summary>
    double Bounded(double square, double already = 1);

    /// <summary>Takes all but a share of the step that was just made back, and of the momentum.</summary>
    void Shorten(ProposedStep step, double keep);

    /// <summary>Damps and inverts the running factors again.</summary>
    void Refresh();

    /// <summary>Has factors and inverses measured with the next step.</summary>
    void Remeasure();

    /// <summary>Logs what happened to all layers.</summary>
    void Log(string message);
}
