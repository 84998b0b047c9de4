using System.Net;
using System.Net.Sockets;
using Amari.Cli.Commands;
using Amari.Tests.Fixtures;
using Amari.Tests.Training;

namespace Amari.Tests.Cli;

/// <summary>The live view in a browser.</summary>
public sealed class LiveServerBrowserTests(Chromium chromium)
{
    private const string Points = "document.getElementById('plot0')?.data?.find(t => t.legendgroup === 'kfac')?.x.length ?? 0";

    [Fact]
    public async Task Curves_grow_choices_stay_and_the_end_leaves_a_page()
    {
        var live = new PlantedLive();
        OpenPage page;
        using (live)
        {
            page = await chromium.Open(live.Address);
            live.Evaluate();
            live.Evaluate();
            await page.Until($"({Points}) === 2");
            await page.Page.ClickAsync("#plot0-figure [data-group=adamw]");
            await page.Page.ClickAsync("[data-axis=steps]");
            await page.Page.ClickAsync("details:not([open]) summary");
            string open = await page.Value<string>("document.querySelector('details[open]').innerText");
            for (int i = 0; i < 3; i++)
                live.Evaluate();
            await page.Until($"({Points}) === 5");
            Assert.Equal(["kfac"], await Shown());
            Assert.Equal("true", await page.Page.GetAttributeAsync("[data-axis=steps]", "aria-pressed"));
            Assert.Equal(open, await page.Value<string>("document.querySelector('details[open]').innerText"));
            Assert.Contains("1.5 ms/step", await page.Page.InnerTextAsync("#progress"), StringComparison.Ordinal);
            await page.Page.ClickAsync("#stop");
            await page.Until("document.getElementById('connection').textContent.includes('stops after')");
            while (live.Stops == 0)
                await Task.Delay(2, TestContext.Current.CancellationToken);
            live.End();
        }
        await page.Until("document.getElementById('progress').textContent.includes('The runs have ended.')");
        await page.Until("!document.getElementById('stop')");
        Assert.DoesNotContain("The answer comes", await page.Page.InnerTextAsync("main"), StringComparison.Ordinal);
        await page.Page.ClickAsync("[data-axis=seconds]");
        Assert.Equal("true", await page.Page.GetAttributeAsync("[data-axis=seconds]", "aria-pressed"));
        Assert.Equal(["kfac"], await Shown());
        Assert.Empty(page.Errors);
        await page.DisposeAsync();

        Task<string[]> Shown() =>
            page.Value<string[]>(
                "[...new Set(document.getElementById('plot0').data.filter(t => t.visible !== false).map(t => t.legendgroup))]"
            );
    }

    [Fact]
    public async Task Its_button_stops_a_command_as_Ctrl_C_does()
    {
        Chromium.Require();
        using var folder = new TemporaryFolder();
        using var text = new StringWriter();
        var output = TextWriter.Synchronized(text);
        int port = FreePort();
        string[] line = ["compare", "digits-softmax", "--optimizers", "sgd", "--budget", "20s", "--seeds", "1", "--threads", "1"];
        var command = Task.Run(() => CommandLine.Run([.. line, "--out", folder.File("o"), "--live", $"{port}"], output, output));
        string address = $"http://127.0.0.1:{port}/";
        while (!text.ToString().Contains(address, StringComparison.Ordinal) && !command.IsCompleted)
            await Task.Delay(5, TestContext.Current.CancellationToken);
        await using (var page = await chromium.Open(address))
        {
            await page.Until("(document.getElementById('plot0')?.data?.[0].x.length ?? 0) > 1");
            await page.Page.ClickAsync("#stop");
            await page.Until("document.getElementById('progress').textContent.includes('The runs were stopped.')");
            Assert.Empty(page.Errors);
        }
        Assert.Equal(1, await command);
        Assert.Contains("\"interrupted\"", File.ReadAllText(folder.File("o/result.json")), StringComparison.Ordinal);
        Assert.Contains("To continue: amari compare --resume", text.ToString(), StringComparison.Ordinal);
    }

    private static int FreePort()
    {
        using var any = new TcpListener(IPAddress.Loopback, 0);
        any.Start();
        return ((IPEndPoint)any.LocalEndpoint).Port;
    }
}
