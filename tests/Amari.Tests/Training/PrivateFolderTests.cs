using Amari.Training;

namespace Amari.Tests.Training;

public sealed class PrivateFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _here = Environment.CurrentDirectory;

    public PrivateFolderTests() => Environment.CurrentDirectory = _folder.Path;

    public void Dispose()
    {
        Environment.CurrentDirectory = _here;
        _folder.Dispose();
    }

    [Fact]
    public void The_first_place_that_takes_a_file_keeps_it()
    {
        string? folder = PrivateFolder.Write(f => File.WriteAllText(Path.Combine(f, "x"), "1"));
        Assert.Equal([folder], Directory.GetDirectories(_folder.Path));
        Assert.Equal("1", File.ReadAllText(Path.Combine(folder!, "x")));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder!));
    }

    /// <summary>As on a disk that takes a folder and no file.</summary>
    [Fact]
    public void Where_all_refuse_no_folder_stays()
    {
        List<string> tried = [];
        Assert.Null(
            PrivateFolder.Write(f =>
            {
                tried.Add(f);
                throw new IOException("No space left on device");
            })
        );
        Assert.InRange(tried.Count, 2, 3);
        Assert.DoesNotContain(tried, Directory.Exists);
    }
}
