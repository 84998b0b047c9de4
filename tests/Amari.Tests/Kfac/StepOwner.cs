namespace Amari.Tests.KfacOptimizer;

/// <summary>What a step rule asks for, given.</summary>
/// <param name="options">In force.</param>
/// <param name="bound">What the growth bound leaves.</param>
internal sealed class StepOwner(Kfac.Options options, double bound = 1) : IStepOwner
{
    public List<double> Squares { get; } = [];

    public Kfac.Options Options => options;

    public StepRule StepRule => options.Step;

    public double Damping => options.Damping;

    public double Bounded(double square, double already)
    {
        Squares.Add(square);
        return bound;
    }

    public void Shorten(ProposedStep step, double keep) => throw new NotSupportedException();

    public void Refresh() => throw new NotSupportedException();

    public void Remeasure() => throw new NotSupportedException();

    public void Log(string message) => throw new NotSupportedException(message);
}
