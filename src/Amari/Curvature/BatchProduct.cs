namespace Amari.Curvature;

/// <summary>v → C_n v for the curvature C_n of one batch. Results are in the current dispose scope.</summary>
/// <param name="v">Tensors with the shapes of the parameters.</param>
/// <returns>Tensors with the same shapes, null for zeros.</returns>
internal delegate IReadOnlyList<Tensor?> BatchProduct(IReadOnlyList<Tensor> v);
