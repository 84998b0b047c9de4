namespace Amari;

/// <summary>The mean loss of the best constant output, as a network gives that has learned nothing of its inputs.</summary>
/// <param name="Loss">The mean of -log p(y | c) at the best c.</param>
/// <param name="Saturated">The same where every target is predicted as well as the likelihood allows (of a density with a free variance:
/// with the constant's variance):
/// <paramref name="Loss"/> minus this is all that there is to learn.</param>
public readonly record struct ConstantPrediction(double Loss, double Saturated);
