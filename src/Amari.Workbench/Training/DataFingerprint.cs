using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Amari.Serialization;
using Amari.Workloads;
using Amari.Workloads.Data;

namespace Amari.Training;

/// <summary>A short text that identifies the data of a workload: 64 bits of a SHA-256 of the types, shapes and bytes of all sets.</summary>
internal static class DataFingerprint
{
    private const int Digits = 16;

    /// <summary>Computes the fingerprint. Reads all of the data once.</summary>
    public static string Of(WorkloadData data)
    {
        using var scope = NewDisposeScope();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var set in (Dataset?[])[data.Train, data.Test, data.Measured])
        foreach (var tensor in set is null ? [] : (Tensor[])[set.Inputs, set.Targets])
        {
            string kind = string.Create(CultureInfo.InvariantCulture, $"{tensor.dtype} {string.Join(' ', tensor.shape)};");
            hash.AppendData(Encoding.UTF8.GetBytes(kind));
            foreach (var piece in Safetensors.Pieces(tensor.detach().cpu().contiguous()))
                hash.AppendData(piece.bytes);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..Digits];
    }
}
