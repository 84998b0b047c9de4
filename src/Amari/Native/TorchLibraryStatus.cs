namespace Amari.Native;

/// <summary>How TorchSharp's native library came to be loaded.</summary>
/// <param name="State">The outcome.</param>
/// <param name="Path">The file that was loaded; null when none was.</param>
/// <param name="Message">One sentence for people; after a failure it says what to install.</param>
public sealed record TorchLibraryStatus(TorchLibraryState State, string? Path, string Message)
{
    /// <summary>Why the numbers that TorchSharp hands to libtorch are not protected from the garbage collector, which may then free one
    /// while libtorch reads it; null where they are (or where the library could not be loaded). It is also reported once on standard
    /// error.</summary>
    public string? Unprotected { get; init; }

    /// <summary>Why errors in some of TorchSharp's functions (<c>matmul</c>, <c>autograd.grad</c>, a custom backward, ...) may end the
    /// process; null where they are exceptions (or where the library could not be loaded). It is also reported once on standard
    /// error.</summary>
    public string? Unguarded { get; init; }
}
