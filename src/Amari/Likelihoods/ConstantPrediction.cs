namespace Amari;

/// <summary>The mean loss of the best constant output: that of a network that ignores its inputs.</summary>
/// <param name="Loss">The mean of -log p(y | c) at the best c.</param>
/// <param name="Saturated">The mean loss of the saturated model, which predicts every target as well as the likelihood allows. For a
/// density with a free variance it keeps the variance of the constant. <paramref name="Loss"/> minus this value is the most that the loss
/// can fall.</param>
public readonly record struct ConstantPrediction(double Loss, double Saturated);
