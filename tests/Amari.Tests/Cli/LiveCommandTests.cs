using System.Net;
using System.Net.Sockets;
using Amari.Tests.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>--live</c> as its user meets it.</summary>
public sealed class LiveCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string[] Train(params string[] more) =>
        ["train", "digits-softmax", "--optimizer", "sgd", "--epochs", "1", "--threads", "1", "--out", _folder.File("o"), .. more];

    [Theory, InlineData("65536"), InlineData("-1"), InlineData("8e3"), InlineData("")]
    public void A_port_that_is_none_is_refused(string port) =>
        AssertRefused($"--live is '{port}'; it must be a port from 1 to 65535", Train("--live", port));

    [Fact]
    public void A_port_in_use_is_refused_before_any_training()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        int port = ((IPEndPoint)other.LocalEndpoint).Port;
        foreach (string command in (string[])["train", "compare"])
            AssertRefused(
                $"--live is {port}; this port of 127.0.0.1 is in use or reserved: choose another from 1 to 65535",
                command,
                "digits-softmax",
                "--out",
                _folder.File("o"),
                "--live",
                $"{port}"
            );
        Assert.False(File.Exists(_folder.File("o/result.json")));
    }

    [Theory, InlineData(), InlineData("0")]
    public void A_free_port_is_chosen_and_given_back_at_the_end(params string[] port)
    {
        var (code, output, _) = Run(Train(["--live", .. port]));
        Assert.Equal(0, code);
        string line = Assert.Single(output.Split('\n'), l => l.StartsWith("Live view: ", StringComparison.Ordinal)).Trim();
        Assert.Matches("^Live view: http://127\\.0\\.0\\.1:[1-9][0-9]*/$", line);
        using var client = new TcpClient();
        Assert.Throws<SocketException>(() => client.Connect(IPAddress.Loopback, new Uri(line["Live view: ".Length..]).Port));
    }
}
