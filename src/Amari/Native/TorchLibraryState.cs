namespace Amari.Native;

/// <summary>The outcomes of loading TorchSharp's native library.</summary>
public enum TorchLibraryState
{
    /// <summary>The library was loaded as TorchSharp ships it.</summary>
    NotNeeded,

    /// <summary>The system's libstdc++ is older than the library asks for; a patched copy was loaded.</summary>
    Patched,

    /// <summary>The library could not be loaded: TorchSharp will not work.</summary>
    Failed,
}
