using Amari.Kronecker;
using Amari.Native;
using Amari.Serialization;

namespace Amari;

// Copying, saving, restoring and moving.
internal abstract partial class CurvatureBlock
{
    /// <summary>A block of its own with copies of the factors, with or without the bias; null before the first update.</summary>
    public CurvatureBlock? Copy(bool withBias)
    {
        if (!IsMeasured)
            return null;
        var copy = (CurvatureBlock)MemberwiseClone();
        bool whole = withBias || !HasBias;
        copy._running = [.. _running.Select((t, i) => (whole ? t! : WithoutBias(i, t!)).clone().DetachFromDisposeScope())];
        copy.Inverse = whole ? Inverse?.Map(t => t.clone().DetachFromDisposeScope()) : null;
        (copy.HasBias, copy._pending, copy._pendingRows) = (HasBias && withBias, [], 0);
        return copy;
    }

    /// <summary>What must be saved to continue exactly, by name.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors() => Factors().Concat(Inverse?.Tensors() ?? []);

    /// <summary>The running factors by name.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Factors() =>
        factors.Zip(_running).Where(f => f.Second is not null).Select(f => (f.First, f.Second!));

    /// <summary>Whether all that <see cref="Restore"/> needs was saved.</summary>
    /// <exception cref="InvalidDataException">It was not.</exception>
    public void Check(Func<string, Tensor?> find, long updates)
    {
        if (updates > 0 && Array.Find(factors, f => find(f) is null) is { } missing)
            throw new InvalidDataException($"The state lacks '{name}.{missing}'.");
        foreach (string factor in factors)
            if (find(factor) is { } saved)
                NegativeNumbers.Refuse($"{name}.{factor}", saved, onDiagonal: saved.dim() > 1 && saved.shape[^1] == saved.shape[^2]);
        if (find(CorrectedInverse.Values) is { } moments)
            NegativeNumbers.Refuse($"{name}.{CorrectedInverse.Values}", moments);
        _ = Restored(find);
    }

    /// <summary>Puts saved tensors back; copies them.</summary>
    public void Restore(Func<string, Tensor?> find, long updates)
    {
        for (int i = 0; i < factors.Length; i++)
        {
            var old = _running[i]; // it may be what was saved
            _running[i] = find(factors[i])?.clone().DetachFromDisposeScope();
            old?.Dispose();
        }
        Replace(Restored(find)?.Map(t => t.clone().DetachFromDisposeScope()));
        Updates = updates;
        Discard();
    }

    /// <summary>Moves the factors and the inverse to another device, and to the dtype that the weight has now.</summary>
    public void To(Device device)
    {
        for (int i = 0; i < factors.Length; i++)
            if (_running[i] is { } t)
                _running[i] = Move(t);
        Inverse = Inverse?.Map(Move);

        Tensor Move(Tensor t)
        {
            var type = t.dtype == ScalarType.BFloat16 ? t.dtype : FactorType; // an inverse of that precision
            if (t.IsOn(device) && t.dtype == type)
                return t;
            using (t)
                return t.to(type, device).DetachFromDisposeScope();
        }
    }

    /// <summary>Whether the module moved to another dtype or device since the factors were made.</summary>
    public bool HasMoved => _running[0] is { } t && (t.dtype != FactorType || !t.IsOn(Weight.device));
}
