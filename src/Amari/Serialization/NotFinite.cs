namespace Amari.Serialization;

/// <summary>Finds numbers that are infinite or NaN.</summary>
internal static class NotFinite
{
    /// <summary>The name of the first tensor with an infinite or NaN entry; null if all are finite.</summary>
    public static string? First(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        using var off = no_grad();
        foreach (var (name, tensor) in tensors)
        {
            if (!(tensor.is_floating_point() || tensor.is_complex()))
                continue;
            using var scope = NewDisposeScope();
            if (!tensor.isfinite().all().ToBoolean())
                return name;
        }
        return null;
    }
}
