namespace Amari.SecondOrder;

/// <summary>A row of a Jacobian that is not the derivative of its residual.</summary>
/// <param name="Row">Its number, from 0.</param>
/// <param name="Actual">The rate of change of the residual along a direction.</param>
/// <param name="Claimed">The one that the Jacobian has.</param>
internal sealed record WrongRow(long Row, double Actual, double Claimed);
