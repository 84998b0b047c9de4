namespace Amari.Kronecker;

// Whether the likelihood belongs to the training loss, by the gradient at the model's output in the first steps.
internal sealed partial class Capture
{
    private const int Steps = 3; // that must disagree, all of them: a symmetric start can make one look odd
    private const string LeftOut =
        "the loss leaves positions out (labels -100?), which count in the curvature all the same: "
        + "call UpdateCurvature(inputs, targets), or SetTargets(targets) of an estimate, before the forward pass";
    private int _checks = Steps;

    private bool Checks => _checks > 0 && _likelihood is not null && !FisherSettings.FromLoss(Kind);

    private void Hold(ForwardPass pass, Tensor g)
    {
        using var output = pass.Output!;
        pass.Output = null;
        pass.Disagrees = !_likelihood!.CouldBeScore(output, Batch(g, pass));
        if (!pass.KnowsTargets && _likelihood.LeavesOut(output, Batch(g, pass)) && _reported.Add(("all", LeftOut)))
            Reports.Add(("all", LeftOut));
    }

    /// <summary>Draws the conclusion once passes of several steps disagree.</summary>
    private void HoldAgainstLikelihood()
    {
        if (_checks == 0 || !_live.Exists(p => p.Disagrees is not null))
            return;
        bool disagree = _live.TrueForAll(p => p.Disagrees != false);
        _checks = disagree ? _checks - 1 : 0;
        if (disagree && _checks == 0)
            Reports.Add(
                (
                    "all",
                    $"the gradient of the loss at the model's output is not one of the likelihood {_likelihood!.GetType().Name}: "
                        + "the curvature is of another loss than the one that is trained; give K-FAC the likelihood of the loss, "
                        + "or the outputs that the likelihood takes"
                )
            );
    }
}
