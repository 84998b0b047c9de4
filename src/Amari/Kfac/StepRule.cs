using Amari.Curvature;
using Amari.Distributed;

namespace Amari;

/// <summary>How the length of a K-FAC step, and its momentum, come about.</summary>
public enum StepRule
{
    /// <summary>By the learning rate and the momentum of the options, and the KL clip.</summary>
    Fixed,

    /// <summary>By the minimum of the quadratic model with the exact Fisher over the plane of the new direction and the last step (Martens
    /// and Grosse 2015, §6.4 and §7). Momentum and KL clip are not read; the step is multiplied by the learning rate over the largest one
    /// so far, so that schedules hold. A step costs seven forward passes of <see cref="Kfac.Options.QuadraticModelBatchSize"/> more, or of
    /// the whole batch where those do not show its slope. Two of them hold the change of the prediction against the model: where it is more
    /// than eight times as large, the step is halved until it is not.</summary>
    QuadraticModel,
}
