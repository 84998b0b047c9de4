using Amari.Native;
using TorchSharp;

namespace Amari.Tests.Native;

/// <summary>Also what each child process of <see cref="TorchLibraryTests"/> runs: TorchSharp first, then Amari.</summary>
public sealed class TorchLibraryInProcessTests
{
    [Fact]
    public void A_tensor_operation_works_and_the_status_says_how()
    {
        using var x = torch.arange(4, dtype: torch.ScalarType.Float32);
        using var sum = x.sum();
        Assert.Equal(6, sum.item<float>());

        var status = TorchLibrary.Status;
        Assert.Contains(status.State, new[] { TorchLibraryState.NotNeeded, TorchLibraryState.Patched });
        Assert.Contains("LibTorchSharp", status.Path, StringComparison.Ordinal);
        Assert.Same(status, TorchLibrary.Status);
    }
}
