using PublicApiGenerator;

namespace Amari.Tests;

/// <summary>The public surface, held against <c>PublicApi.*.txt</c>: a change shows in review. Set AMARI_UPDATE_API=1 to accept
/// one.</summary>
public sealed class PublicApiTests
{
    [Theory, InlineData(typeof(Kfac)), InlineData(typeof(Amari.Training.Trainer))]
    public void Public_api_is_as_recorded(Type ofAssembly)
    {
        string actual = ofAssembly.Assembly.GeneratePublicApi(new() { IncludeAssemblyAttributes = false }).ReplaceLineEndings("\n") + "\n";
        string file = Path.Combine(Folder(), $"PublicApi.{ofAssembly.Assembly.GetName().Name}.txt");
        if (Environment.GetEnvironmentVariable("AMARI_UPDATE_API") == "1")
            File.WriteAllText(file, actual);
        Assert.Equal(File.ReadAllText(file).ReplaceLineEndings("\n"), actual);
    }

    private static string Folder([System.Runtime.CompilerServices.CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
