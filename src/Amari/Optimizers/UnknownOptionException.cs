namespace Amari.Optimizers;

/// <summary>An optimizer has no option of that name; the message lists those that it has.</summary>
internal sealed class UnknownOptionException(string message) : ArgumentException(message);
