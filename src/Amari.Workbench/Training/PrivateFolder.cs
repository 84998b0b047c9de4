namespace Amari.Training;

/// <summary>Where results go that cannot be written to their place: a new folder <c>amari-results-...</c> that only the user can read, in
/// the current folder, the home directory or that of temporary files.</summary>
internal static class PrivateFolder
{
    private static readonly Func<string>[] Parents =
    [
        () => Environment.CurrentDirectory,
        () => Environment.GetFolderPath(Environment.SpecialFolder.UserProfile),
        Path.GetTempPath,
    ];

    /// <summary>Creates one and writes to it. Where that fails, the next place is tried.</summary>
    /// <param name="write">Writes to the folder of this path.</param>
    /// <returns>The folder; null if every place refuses.</returns>
    public static string? Write(Action<string> write)
    {
        foreach (var parent in Parents)
        {
            string? folder = null;
            try
            {
                folder = Path.Combine(parent(), $"amari-results-{Path.GetRandomFileName()[..8]}");
                if (OperatingSystem.IsWindows())
                    Directory.CreateDirectory(folder);
                else
                    Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                write(folder);
                return folder;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                Remove(folder);
            }
        }
        return null;
    }

    /// <summary>Deletes a folder to which nothing was written, if possible.</summary>
    private static void Remove(string? folder)
    {
        try
        {
            if (folder is not null)
                Directory.Delete(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }
}
