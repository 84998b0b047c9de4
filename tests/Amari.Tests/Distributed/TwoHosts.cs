using System.Diagnostics;

namespace Amari.Tests.Distributed;

/// <summary>Two network namespaces with a link between them: hosts, as far as MPI can tell.</summary>
internal sealed class TwoHosts : IDisposable
{
    private const string Network = "10.77.0.0/24",
        Here = "10.77.0.1",
        There = "10.77.0.2";
    private readonly string _a = $"amari-a{Environment.ProcessId}",
        _b = $"amari-b{Environment.ProcessId}";
    private readonly string _agent;

    private TwoHosts(string agent) => _agent = agent;

    /// <summary>Null where the system does not allow it.</summary>
    /// <param name="agent">A file for the script by which the launcher reaches the other host.</param>
    public static TwoHosts? Make(string agent)
    {
        if (OperatingSystem.IsWindows())
            return null;
        var hosts = new TwoHosts(agent);
        File.WriteAllText(agent, $"#!/bin/bash\nshift\nexec ip netns exec {hosts._b} unshare --uts bash -c \"hostname amari-b; $*\"\n");
        File.SetUnixFileMode(agent, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (hosts.Up())
            return hosts;
        hosts.Dispose();
        return null;
    }

    private bool Up() =>
        Ip("netns", "add", _a)
        && Ip("netns", "add", _b)
        && Ip("link", "add", "amari", "netns", _a, "type", "veth", "peer", "name", "amari", "netns", _b)
        && Ip("-n", _a, "addr", "add", Here + "/24", "dev", "amari")
        && Ip("-n", _b, "addr", "add", There + "/24", "dev", "amari")
        && new[] { _a, _b }.All(n => Ip("-n", n, "link", "set", "lo", "up") && Ip("-n", n, "link", "set", "amari", "up"))
        && Command("ip", "netns", "exec", _a, "unshare", "--uts", "true");

    /// <summary>Arguments of <c>ip</c> that start one rank on each host.</summary>
    public string[] Launch(string launcher, string[] program)
    {
        // Connections notice a lost peer in seconds, not in hours: the launcher's by keepalive where it is silent, all by few retries where
        // they have just sent something. Four retries take 6 s: ranks that wait 3 s speak first.
        string[] options =
        [
            "--allow-run-as-root",
            "--host",
            $"{Here}:1,{There}:1",
            "-np",
            "2",
            "--mca",
            "plm_rsh_agent",
            _agent,
            "--mca",
            "btl_tcp_if_include",
            Network,
            "--mca",
            "oob_tcp_if_include",
            Network,
            "--mca",
            "oob_tcp_keepalive_time",
            "6",
            "--mca",
            "oob_tcp_keepalive_intvl",
            "1",
            "--mca",
            "oob_tcp_keepalive_probes",
            "3",
        ];
        return
        [
            "netns",
            "exec",
            _a,
            "unshare",
            "--uts",
            "bash",
            "-c",
            "hostname amari-a; echo 4 > /proc/sys/net/ipv4/tcp_retries2; exec \"$@\"",
            "bash",
            launcher,
            .. options,
            .. program,
        ];
    }

    /// <summary>Takes the link away.</summary>
    public void Cut() => Assert.True(Ip("-n", _a, "link", "set", "amari", "down"));

    private static bool Ip(params string[] arguments) => Command("ip", arguments);

    private static string Output(string file, params string[] arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(file, arguments) { RedirectStandardError = true, RedirectStandardOutput = true }
        )!;
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text;
    }

    private static bool Command(string file, params string[] arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(file, arguments) { RedirectStandardError = true, RedirectStandardOutput = true }
        )!;
        process.WaitForExit();
        return process.ExitCode == 0;
    }

    public void Dispose()
    {
        foreach (string space in (string[])[_a, _b]) // what the launcher started there and cannot reach any more
        foreach (string id in Output("ip", "netns", "pids", space).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Command("kill", "-9", id);
        Ip("netns", "del", _a);
        Ip("netns", "del", _b);
    }
}
