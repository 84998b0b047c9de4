using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Training;

namespace Amari.Tests;

internal static class Start
{
    /// <summary>The runner's threads allocate while tests make numbers for libtorch.</summary>
    [ModuleInitializer]
    internal static void Run() => Amari.Native.ScalarRelease.Install();
}
