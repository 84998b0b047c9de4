using Amari.Tests.Fixtures;
using Microsoft.Playwright;

[assembly: AssemblyFixture(typeof(Chromium))]

namespace Amari.Tests.Fixtures;

/// <summary>One installed Chromium for all tests, started by the first that needs it. Without one these tests are skipped.</summary>
public sealed class Chromium : IAsyncDisposable
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    private static readonly string? Program = (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .SelectMany(folder => Names.Select(name => Path.Combine(folder, OperatingSystem.IsWindows() ? name + ".exe" : name)))
        .FirstOrDefault(File.Exists);
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    /// <summary>Skips the test if there is none.</summary>
    internal static void Require() => Assert.SkipWhen(Program is null, "Chromium is not installed.");

    /// <summary>A new page in a window of that size. It fails the test, by <see cref="OpenPage.Errors"/>, that has an error in a
    /// script.</summary>
    /// <param name="address">What it opens.</param>
    /// <param name="width">Pixels.</param>
    /// <param name="isDark">Whether its reader prefers dark pages.</param>
    internal async Task<OpenPage> Open(string address, int width = 1280, bool isDark = false)
    {
        Require();
        _playwright ??= await Playwright.CreateAsync();
        _browser ??= await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = Program });
        var page = new OpenPage(
            await _browser.NewPageAsync(
                new()
                {
                    ViewportSize = new() { Width = width, Height = 900 },
                    ColorScheme = isDark ? ColorScheme.Dark : ColorScheme.Light,
                }
            )
        );
        await page.Page.GotoAsync(address);
        return page;
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
            await _browser.DisposeAsync();
        _playwright?.Dispose();
    }
}
