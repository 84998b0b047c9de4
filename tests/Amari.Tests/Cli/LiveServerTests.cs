using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Amari.Cli.Commands;

namespace Amari.Tests.Cli;

/// <summary>The server of the live view and its readers, friendly and not.</summary>
public sealed class LiveServerTests : IDisposable
{
    private readonly PlantedLive _live = new();
    private readonly HttpClient _client = new();

    public void Dispose()
    {
        _client.Dispose();
        _live.Dispose();
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private async Task<StreamReader> Read() => new(await _client.GetStreamAsync(_live.Address + "events", Cancel));

    /// <summary>The data of the next event of that name.</summary>
    private static async Task<JsonElement> Next(StreamReader events, string name)
    {
        while (await events.ReadLineAsync(Cancel) is { } line)
            if (line == "event: " + name)
                return JsonDocument.Parse((await events.ReadLineAsync(Cancel))!["data: ".Length..]).RootElement;
        throw new EndOfStreamException($"no event {name}");
    }

    /// <summary>The points of kfac's curve; 0 without one.</summary>
    private static int Points(JsonElement page) =>
        page.GetProperty("sections")[0]
            .GetProperty("curves")
            .EnumerateArray()
            .Where(c => c.GetProperty("name").GetString() == "kfac")
            .Select(c => c.GetProperty("points")[0].GetProperty("steps").GetProperty("x").GetArrayLength())
            .SingleOrDefault();

    /// <summary>Reads events until the newest page has so many points, and the progress of then.</summary>
    private static async Task<(string Page, string Progress)> Until(StreamReader events, int points)
    {
        string page = "",
            progress = "";
        for (int now = 0; now < points || !progress.Contains(" ms/step", StringComparison.Ordinal); )
        {
            string line = await events.ReadLineAsync(Cancel) ?? throw new EndOfStreamException();
            if (!line.StartsWith("event: ", StringComparison.Ordinal))
                continue;
            var data = JsonDocument.Parse((await events.ReadLineAsync(Cancel))!["data: ".Length..]).RootElement;
            if (line == "event: page")
                (page, now) = (data.GetProperty("content").GetString()!, Points(data));
            else
                progress = data.GetProperty("content").GetString()!;
        }
        return (page, progress);
    }

    [Fact]
    public async Task Late_readers_and_several_get_the_whole_state()
    {
        using var early = await Read();
        Assert.Equal(0, Points(await Next(early, "page")));
        for (int i = 0; i < 3; i++)
            _live.Evaluate();
        using var late = await Read();
        foreach (var reader in (StreamReader[])[early, late])
        {
            var (page, progress) = await Until(reader, points: 3);
            foreach (string part in (string[])["Kronecker (Linear)", "training", "The answer comes when all runs have ended."])
                Assert.Contains(part, page, StringComparison.Ordinal);
            Assert.Contains("kfac, seed 0", progress, StringComparison.Ordinal);
        }
        _live.End();
        foreach (var reader in (StreamReader[])[early, late])
        {
            string last = (await Next(reader, "page")).GetProperty("content").GetString()!;
            Assert.DoesNotContain("The answer comes", last, StringComparison.Ordinal);
            Assert.Contains("The runs have ended.", (await Next(reader, "progress")).GetProperty("content").GetString()!);
            await Next(reader, "end");
            Assert.Empty((await reader.ReadToEndAsync(Cancel)).Trim());
        }
    }

    /// <summary>Before anybody reads, the results are not even copied. Then the next report brings all of them.</summary>
    [Fact]
    public async Task Nothing_is_taken_before_somebody_reads()
    {
        for (int i = 0; i < 3; i++)
            _live.Evaluate();
        Assert.Equal(0, _live.Taken);
        using var late = await Read();
        Assert.Equal(0, Points(await Next(late, "page")));
        _live.Step();
        Assert.Equal(1, _live.Taken);
        await Until(late, points: 3);
        for (int i = 0; i < 4; i++)
            _live.Evaluate();
        await Until(late, points: 7); // the last of several at once is not lost
    }

    /// <summary>As a scanner of ports opens them, or a program that has gone mad.</summary>
    [Fact]
    public async Task Idle_connections_keep_no_reader_out()
    {
        var idle = new List<Socket>();
        try
        {
            for (int i = 0; i < 300; i++)
            {
                idle.Add(new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
                await idle[^1].ConnectAsync(IPAddress.Loopback, _live.Server.Port, Cancel);
            }
            using var events = await Read();
            await Next(events, "page");
            Assert.Contains("<html", await _client.GetStringAsync(_live.Address, Cancel), StringComparison.Ordinal);
            _live.End();
            await Next(events, "end");
        }
        finally
        {
            foreach (var socket in idle)
                socket.Dispose();
        }
    }

    [Fact]
    public async Task Readers_beyond_the_most_are_refused()
    {
        var readers = new List<StreamReader>();
        for (int i = 0; i < LiveServer.MaxReaders; i++)
            readers.Add(await Read());
        using (var refused = await _client.GetAsync(_live.Address + "events", HttpCompletionOption.ResponseHeadersRead, Cancel))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.Contains("There are 64 readers already.", await refused.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        }
        readers.ForEach(r => r.Dispose());
    }

    [Fact]
    public async Task Readers_that_never_read_delay_nobody_and_hold_one_state()
    {
        var deaf = new List<Socket>();
        try
        {
            for (int i = 0; i < 8; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 1024 };
                deaf.Add(socket);
                await socket.ConnectAsync(IPAddress.Loopback, _live.Server.Port, Cancel);
                await socket.SendAsync(Encoding.ASCII.GetBytes("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), Cancel);
            }
            using var events = await Read();
            await Next(events, "page");
            long before = GC.GetTotalMemory(forceFullCollection: true);
            for (int i = 0; i < 2000; i++)
                _live.Evaluate();
            while (Points(await Next(events, "page")) < 2000) { }
            Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 16 << 20);
            _live.End();
            await Next(events, "end");
        }
        finally
        {
            foreach (var socket in deaf)
                socket.Dispose();
        }
    }

    [Fact]
    public void It_listens_on_this_machine_alone()
    {
        var own = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Where(l => l.Port == _live.Server.Port);
        Assert.Equal([IPAddress.Loopback], own.Select(l => l.Address));
        var taken = Assert.Throws<ArgumentException>(() => LiveServer.Start(_live.Server.Port, [], () => { }));
        Assert.Contains($"--live is {_live.Server.Port}; this port of 127.0.0.1 is in use", taken.Message, StringComparison.Ordinal);
        Assert.Contains("from 1 to 65535", taken.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "/", "127.0.0.1", 200)]
    [InlineData("GET", "/", "localhost:9", 200)] // a forwarded port
    [InlineData("GET", "/", "rebound.example", 403)]
    [InlineData("GET", "/events", "rebound.example:80", 403)]
    [InlineData("POST", "/stop", "127.0.0.1", 403)]
    [InlineData("GET", "/stop", "127.0.0.1", 405)]
    [InlineData("POST", "/", "127.0.0.1", 405)]
    [InlineData("GET", "/result.json", "127.0.0.1", 404)]
    [InlineData("GET", "/../../etc/passwd", "127.0.0.1", 404)]
    [InlineData("GET", "/%2e%2e/etc/passwd", "127.0.0.1", 404)]
    public async Task Foreign_names_paths_and_requests_are_refused(string method, string path, string host, int code)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, _live.Server.Port, Cancel);
        string request =
            $"{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://rebound.example\r\nContent-Length: 0\r\n"
            + "X-Amari-Token: guessed\r\nConnection: close\r\n\r\n";
        await socket.SendAsync(Encoding.ASCII.GetBytes(request), Cancel);
        using var answer = new StreamReader(new NetworkStream(socket));
        string text = await answer.ReadToEndAsync(Cancel);
        Assert.StartsWith($"HTTP/1.1 {code} ", text, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Access-Control", text, StringComparison.Ordinal);
        Assert.Equal(0, _live.Stops);
    }
}
