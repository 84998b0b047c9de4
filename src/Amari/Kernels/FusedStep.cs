namespace Amari.Kernels;

/// <summary>A step of an elementwise optimizer over the rows of a sweep: takes its rule, and chooses the kernels that the options ask
/// for.</summary>
/// <param name="Sweep">Rows that share options and step.</param>
/// <param name="GradientScale">Factor on all gradients.</param>
/// <param name="IsGuarded">Whether gradients that are not finite are marked and taken as 0, to be undone.</param>
/// <param name="Cautious">Whether entries that go against the gradient stay.</param>
/// <param name="CautiousDecay">Whether entries decay only where the step shrinks them.</param>
internal readonly record struct FusedStep(Sweep Sweep, double GradientScale, bool IsGuarded, bool Cautious, bool CautiousDecay)
{
    /// <summary>The least share of entries that agree with the gradient: what is left of a cautious step grows by its inverse at
    /// most.</summary>
    public const double MinShare = 1e-3;

    /// <summary>Takes the step.</summary>
    public void Run<TRule>(TRule rule)
        where TRule : unmanaged, IElementwise
    {
        if (Cautious)
            Sweep.Tally(new AgreementKernel<TRule>(rule, GradientScale), MinShare);
        if (Cautious || CautiousDecay)
            Sweep.Run(new CautiousKernel<TRule>(rule, GradientScale, Cautious, CautiousDecay));
        else if (IsGuarded)
            Sweep.Run(new StepKernel<TRule, Guarded>(rule, GradientScale));
        else
            Sweep.Run(new StepKernel<TRule, Unguarded>(rule, GradientScale));
    }

    /// <summary>Takes a guarded step back.</summary>
    public void Undo<TRule>(TRule rule)
        where TRule : unmanaged, IUndoable => Sweep.Run(new UndoKernel<TRule>(rule, GradientScale));
}
