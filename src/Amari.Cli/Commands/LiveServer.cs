using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Amari.Reporting;
using Amari.Training;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Amari.Cli.Commands;

/// <summary>Serves a <see cref="LiveView"/> on 127.0.0.1: the page, its changes as server-sent events, and a request to stop. A reader gets
/// the newest state when it has read the last one, so a slow one misses states and delays nobody.</summary>
/// <remarks>The names of its host are checked, so that a foreign name that resolves to 127.0.0.1 (DNS rebinding) reads nothing, and a
/// request to stop needs the token of the page, which pages of other origins cannot read. No path names a file.</remarks>
internal sealed class LiveServer : IProgress<RunProgress>, IDisposable
{
    /// <summary>The header with the token.</summary>
    public const string TokenHeader = "X-Amari-Token";

    /// <summary>The most readers of events at a time.</summary>
    public const int MaxReaders = 64;

    // Connections without a request cost little, and end soon. So that a reader is not refused because of them, many are allowed; not so
    // many that the process could open no file.
    private const int MaxConnections = 1024;
    private const string Ended = "event: end\ndata: 1\n\n";
    private static readonly string[] Names = ["127.0.0.1", "localhost"];
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(0.5),
        LastRead = TimeSpan.FromSeconds(2), // for readers of the last frame
        Idle = TimeSpan.FromSeconds(5); // without a request

    private readonly LiveView _view;
    private readonly Action _stop;
    private readonly byte[] _token;
    private readonly WebApplication _server;
    private readonly CancellationTokenSource _ending = new();
    private readonly TimeSpan _pause; // between frames
    private int _readers;

    private LiveServer(int port, IReadOnlyList<ReportSection> sections, Action stop, TimeSpan pause)
    {
        string token = RandomNumberGenerator.GetHexString(32);
        (_view, _stop, _token, _pause) = (new(sections, token, pause), stop, Encoding.ASCII.GetBytes(token), pause);
        var builder = WebApplication.CreateEmptyBuilder(new()); // no settings from files or the environment
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.Listen(IPAddress.Loopback, port);
            options.AddServerHeader = false;
            options.Limits.MaxConcurrentConnections = MaxConnections;
            options.Limits.KeepAliveTimeout = Idle;
            options.Limits.RequestHeadersTimeout = Idle;
            options.Limits.MaxRequestBodySize = 0;
        });
        _server = builder.Build();
        _server.Run(Answer);
    }

    /// <summary>The port that it listens on.</summary>
    public int Port { get; private set; }

    /// <summary>Starts a server.</summary>
    /// <param name="port">1..65535, or 0 for a free one.</param>
    /// <param name="sections">The workloads, with the results of an earlier part.</param>
    /// <param name="stop">Called for each request to stop.</param>
    /// <param name="pause">Between the frames that a reader gets; half a second if null.</param>
    /// <exception cref="ArgumentException">The port cannot be used.</exception>
    public static LiveServer Start(int port, IReadOnlyList<ReportSection> sections, Action stop, TimeSpan? pause = null)
    {
        var server = new LiveServer(port, sections, stop, pause ?? Pause);
        try
        {
            server._server.Start();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            server.Dispose();
            throw new ArgumentException(
                $"{LiveArguments.Name} is {port}; this port of 127.0.0.1 is in use or reserved: choose another from "
                    + $"{LiveArguments.MinPort} to {LiveArguments.MaxPort}, or none for a free one.",
                e
            );
        }
        string address = server._server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        server.Port = new Uri(address).Port;
        return server;
    }

    /// <inheritdoc cref="LiveView.Report"/>
    public void Report(RunProgress value) => _view.Report(value);

    /// <inheritdoc cref="LiveView.End"/>
    public void End(string how, IReadOnlyList<BenchmarkResult>? results = null) => _view.End(how, results);

    private async Task Answer(HttpContext context)
    {
        var (request, response) = (context.Request, context.Response);
        foreach (
            var (name, value) in ((string, string)[])
                [
                    ("Cache-Control", "no-store"),
                    ("Content-Security-Policy", "frame-ancestors 'none'"),
                    ("Cross-Origin-Resource-Policy", "same-origin"),
                    ("Referrer-Policy", "no-referrer"),
                    ("X-Content-Type-Options", "nosniff"),
                ]
        )
            response.Headers[name] = value;
        switch (request.Method, request.Path.Value)
        {
            case var _ when !Names.Contains(request.Host.Host, StringComparer.OrdinalIgnoreCase):
                await Refuse(response, StatusCodes.Status403Forbidden, "This host is not served: use 127.0.0.1.");
                break;
            case ("GET", "/"):
                response.ContentType = "text/html; charset=utf-8";
                await response.WriteAsync(_view.Document(), context.RequestAborted);
                break;
            case ("GET", "/events") when Volatile.Read(ref _readers) >= MaxReaders:
                await Refuse(response, StatusCodes.Status503ServiceUnavailable, $"There are {MaxReaders} readers already.");
                break;
            case ("GET", "/events"):
                await Stream(context);
                break;
            case ("POST", "/stop") when HasToken(request):
                _stop();
                response.StatusCode = StatusCodes.Status204NoContent;
                break;
            case ("POST", "/stop"):
                await Refuse(response, StatusCodes.Status403Forbidden, $"The header {TokenHeader} is not that of the page.");
                break;
            case (_, "/" or "/events" or "/stop"):
                await Refuse(response, StatusCodes.Status405MethodNotAllowed, "GET serves / and /events, POST stops by /stop.");
                break;
            default:
                await Refuse(response, StatusCodes.Status404NotFound, "There are /, /events and /stop.");
                break;
        }
    }

    private bool HasToken(HttpRequest request) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(request.Headers[TokenHeader].ToString()), _token);

    private static Task Refuse(HttpResponse response, int code, string why)
    {
        response.StatusCode = code;
        response.ContentType = "text/plain; charset=utf-8";
        return response.WriteAsync(why + "\n");
    }

    /// <summary>Writes the newest frame, waits, and again, until the last one.</summary>
    private async Task Stream(HttpContext context)
    {
        var (body, gone) = (context.Response.Body, context.RequestAborted);
        context.Response.ContentType = "text/event-stream";
        Interlocked.Increment(ref _readers);
        try
        {
            for (LiveFrame? before = null, now; before?.IsLast != true; before = now)
            {
                if (before is not null)
                    await Rest(gone);
                now = _view.Frame();
                if (now.PageVersion != before?.PageVersion)
                    await body.WriteAsync(now.Page, gone);
                if (now.Version != before?.Version)
                    await body.WriteAsync(now.Progress, gone);
                await body.FlushAsync(gone);
            }
            await body.WriteAsync(Encoding.UTF8.GetBytes(Ended), gone);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException) // the reader has gone
        { }
        finally
        {
            Interlocked.Decrement(ref _readers);
        }
    }

    /// <summary>The pause between frames, which the end of the command ends.</summary>
    private async Task Rest(CancellationToken gone)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(gone, _ending.Token);
        await Task.Delay(_pause, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        gone.ThrowIfCancellationRequested();
    }

    /// <summary>Gives readers the last frame and time to read it, and ends.</summary>
    public void Dispose()
    {
        End("The command has ended.");
        _ending.Cancel();
        SpinWait.SpinUntil(() => Volatile.Read(ref _readers) == 0, LastRead);
        using (var now = new CancellationTokenSource(Pause))
            _server.StopAsync(now.Token).GetAwaiter().GetResult();
        ((IDisposable)_server).Dispose();
        _ending.Dispose();
    }

    /// <summary>Leaves signals to <see cref="Interrupt"/>.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
