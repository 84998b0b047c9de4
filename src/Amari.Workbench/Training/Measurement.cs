namespace Amari.Training;

/// <summary>The values of an evaluation.</summary>
/// <param name="Loss">The mean loss over the training set or its measured part.</param>
/// <param name="HeldOutLoss">The mean loss over the test set; null if there is none.</param>
/// <param name="Metric">The workload's metric over the test set, or without one over the examples of the loss.</param>
internal readonly record struct Measurement(double Loss, double? HeldOutLoss, double Metric);
