using Amari.Reporting;
using Amari.Tests.Cli;
using Amari.Tests.Fixtures;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using static Amari.Tests.Cli.PlantedRuns;

namespace Amari.Tests.Reporting;

/// <summary>The reports in a browser, for readers with a phone, a keyboard, a screen reader or a printer.</summary>
public sealed class HtmlReportBrowserTests(Chromium chromium) : IDisposable
{
    private const double NarrowWidth = 390;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Report()
    {
        var tried = OptimizerCatalog.Find("adamw").SearchSpace.ToDictionary(d => d.Option, _ => "0.01");
        var comparison = Compared(
            "held-out loss",
            0.3,
            [
                .. Times("kfac", [1, 1.1, 1.2], 40)
                    .HeldOut([0.2, 0.21, 0.2], [0.2, 0.21, 0.2])
                    .Select(r =>
                        r with
                        {
                            Monitor = Monitor(r.Seed),
                            Coverage = [new("0.weight", "Kronecker (Linear)", "linear layer with a bias of its own")],
                            Events = [new(7, "fc1", "the inverse failed; the last one stays")],
                        }
                    ),
            ],
            Times("adamw", [3, 3.3, 3.1]).HeldOut([0.25, 0.26, 0.27], [0.25, 0.26, 0.27]),
            [.. Times("schedulefree-adamw", [3, 3.3, 3.1]).Select(r => r with { Status = RunStatus.CameApart })]
        ) with
        {
            Description = "1,437 digits",
            BatchSize = 128,
            Trials = [new("adamw", tried, Budget.OfSeconds(2.5), 0.3)],
        };
        string file = _folder.File("report.html");
        File.WriteAllText(file, HtmlReport.Of([new(comparison, "1,437 digits", 128)]));
        return new Uri(file).AbsoluteUri;
    }

    private static MonitorResult Monitor(int seed) =>
        new(
            MonitorQuantities.Sharpness,
            [
                new MonitorRow
                {
                    Step = 0,
                    Seconds = 0,
                    Sharpness = 3 + seed,
                },
                new MonitorRow
                {
                    Step = 500,
                    Seconds = 5,
                    Sharpness = 20,
                    StabilityBound = 38,
                },
            ],
            0.05,
            0.04,
            0.2,
            0.4,
            "2 / η"
        );

    private static async Task AssertAccessible(OpenPage page)
    {
        AxeRunContext all = new() { Exclude = [new(".main-svg")] }; // many shapes, which take seconds
        AxeResult found = await page.Page.RunAxe(all);
        Assert.Empty(found.Violations.Select(v => $"{v.Id}: {v.Help}: {v.Nodes[0].Html}"));
        Assert.Contains(found.Passes, rule => rule.Id == "color-contrast"); // it looked
        Assert.Empty(page.Errors);
    }

    [Fact]
    public async Task Hidden_curves_stay_hidden_and_the_keyboard_does_it_all()
    {
        await using var page = await chromium.Open(Report());
        var keys = page.Page.Keyboard;
        await page.Page.FocusAsync("#plot0-figure [data-group=adamw]");
        await keys.PressAsync("Enter");
        string[] others = ["kfac", "schedulefree-adamw"];
        Assert.Equal(others, await Shown());
        Assert.Equal("adamw", await page.Value<string>("document.activeElement.dataset.group"));
        foreach (string button in (string[])["[data-axis=steps]", "[data-quantity='1']", "[data-axis=seconds]", "[data-quantity='0']"])
        {
            await page.Page.FocusAsync("#curves0 " + button);
            await keys.PressAsync("Space");
            Assert.Equal("true", await page.Page.GetAttributeAsync("#curves0 " + button, "aria-pressed"));
            Assert.Equal(others, await Shown());
        }
        await page.Page.FocusAsync("#plot0-figure [data-group=kfac]");
        await keys.PressAsync("Shift+Enter");
        Assert.Equal(["kfac"], await Shown());
        await keys.PressAsync("Shift+Enter");
        Assert.Equal(["kfac", "adamw", "schedulefree-adamw"], await Shown());

        await page.Page.FocusAsync("#plot0");
        await keys.PressAsync("ArrowRight");
        await page.Until("document.querySelector('#plot0-figure output').textContent.includes('kfac, seed 0')");
        await keys.PressAsync("ArrowRight");
        await page.Until("document.querySelector('#plot0-figure output').textContent.includes('5.000 seconds')");
        double left = await page.Value<double>("document.getElementById('plot0')._fullLayout.xaxis.range[0]");
        await keys.PressAsync("Shift+ArrowRight");
        Assert.True(await page.Value<double>("document.getElementById('plot0')._fullLayout.xaxis.range[0]") > left);
        Assert.Empty(page.Errors);

        Task<string[]> Shown() =>
            page.Value<string[]>(
                "[...new Set(document.getElementById('plot0').data.filter(t => t.visible !== false).map(t => t.legendgroup))]"
            );
    }

    [Theory, InlineData(false), InlineData(true)] // axe's look takes seconds: once for each scheme
    public async Task A_phone_shows_every_column_and_axe_finds_nothing(bool isDark)
    {
        await using var page = await chromium.Open(Report(), (int)NarrowWidth, isDark);
        Assert.Equal(NarrowWidth, await page.Value<double>("document.documentElement.scrollWidth"));
        await page.Page.EvaluateAsync("() => document.querySelectorAll('details').forEach(d => d.open = true)");
        Assert.Empty(
            await page.Value<string[]>(
                $$"""
                [...document.querySelectorAll('td, th[scope=row], button, .plot')].filter(e => {
                  const box = e.getBoundingClientRect();
                  return box.left < 0 || box.right > {{NarrowWidth}} || box.width === 0 && e.textContent
                    || e.scrollWidth > e.clientWidth + 1;
                }).map(e => e.outerHTML.slice(0, 200))
                """
            )
        );
        await AssertAccessible(page);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task Curves_have_contrast_to_the_page_and_nothing_leaves_it(bool isDark)
    {
        await using var page = await chromium.Open(Report(), isDark: isDark);
        double ground = Luminance(await page.Value<string>("getComputedStyle(document.documentElement).backgroundColor"));
        string[] optimizers = [.. OptimizerCatalog.All.Select(o => o.Name)];
        foreach (string color in Palette.Of(optimizers).Values.Distinct().Append("#777777"))
        {
            double own = Luminance(await page.Value<string>($"tone('{color}')"));
            Assert.True((Math.Max(own, ground) + 0.05) / (Math.Min(own, ground) + 0.05) >= 3, color);
        }
        Assert.Empty(page.Errors);
        Assert.Equal(0, await page.Page.Locator("[data-title*=loud], a[href^=http]").CountAsync());
        await page.Page.EmulateMediaAsync(new() { Media = Microsoft.Playwright.Media.Print });
        await page.Until("document.getElementById('plot0').layout.font.color === 'rgb(0, 0, 0)'"); // black on paper, also for dark readers
    }

    [Fact]
    public async Task Maps_of_the_loss_are_drawn_read_and_turned()
    {
        double[,] losses =
        {
            { 1, 2, 1 },
            { 2, 0.5, 2 },
            { 1, 3, 1 },
        };
        var result = new LandscapeResult(
            "digits-mlp",
            null,
            "planted",
            "3 examples",
            "a plane",
            ["first", "second"],
            [-1, 0, 1],
            [-1, 0, 1],
            losses,
            0.5,
            [(1, 1, 0, 3), (0, 0, 10, 0.5)],
            false
        );
        string file = _folder.File("landscape.html");
        File.WriteAllText(file, LandscapeReport.Html(result));
        await using var page = await chromium.Open(new Uri(file).AbsoluteUri);
        await page.Page.FocusAsync("#plot");
        await page.Page.Keyboard.PressAsync("ArrowRight");
        await page.Page.Keyboard.PressAsync("ArrowUp");
        await page.Until("document.querySelector('#plot-figure output').textContent.includes('loss 2')");
        await page.Page.ClickAsync("#contour");
        Assert.Equal("contour", await page.Value<string>("document.getElementById('plot').data[0].type"));
        await page.Page.ClickAsync("#surface");
        await page.Until("document.getElementById('plot')._fullLayout.scene?.camera");
        double eye = await page.Value<double>("document.getElementById('plot')._fullLayout.scene.camera.eye.x");
        await page.Page.FocusAsync("#plot");
        await page.Page.Keyboard.PressAsync("ArrowRight");
        await page.Until(FormattableString.Invariant($"document.getElementById('plot')._fullLayout.scene.camera.eye.x !== {eye:R}"));
        Assert.Empty(page.Errors);
    }

    /// <summary>The relative luminance of a colour <c>rgb(r, g, b)</c>, as WCAG 2 defines it.</summary>
    private static double Luminance(string rgb)
    {
        double[] parts =
        [
            .. rgb[(rgb.IndexOf('(', StringComparison.Ordinal) + 1)..^1]
                .Split(',')
                .Take(3)
                .Select(p => double.Parse(p, System.Globalization.CultureInfo.InvariantCulture) / 255)
                .Select(v => v <= 0.03928 ? v / 12.92 : Math.Pow((v + 0.055) / 1.055, 2.4)),
        ];
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    }
}
