using System.Diagnostics;
using System.Text.RegularExpressions;
using Amari.Cli.Commands;
using Amari.Tests.Distributed;
using Amari.Training;

namespace Amari.Tests.Architecture;

/// <summary>The job files of the documentation: what parses them, and that the commands in them are ones that the tool takes.</summary>
public sealed class JobFileTests
{
    [Fact]
    public void The_slurm_script_is_valid_bash_and_asks_for_ranks()
    {
        string file = Path.Combine(Jobs(), "slurm.sh");
        Assert.SkipWhen(MpiJob.Find("bash") is null, "bash is not installed");
        using var bash = Process.Start(new ProcessStartInfo("bash", ["-n", file]) { RedirectStandardError = true })!;
        string errors = bash.StandardError.ReadToEnd();
        bash.WaitForExit();
        Assert.Equal((0, ""), (bash.ExitCode, errors));
        string text = File.ReadAllText(file);
        foreach (string option in (string[])["nodes", "ntasks-per-node", "cpus-per-task", "time"])
            Assert.Matches($"(?m)^#SBATCH --{option}=\\S+$", text);
        Accepted(
            Regex
                .Match(text.Replace("\\\n", " ", StringComparison.Ordinal), "amari (train .*)")
                .Groups[1]
                .Value.Replace("\"$OMP_NUM_THREADS\"", "1", StringComparison.Ordinal)
                .Replace("\"", "", StringComparison.Ordinal)
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)
        );
    }

    [Fact]
    public void The_kubernetes_job_is_valid_yaml_of_an_mpijob()
    {
        var root = Yaml.Parse(File.ReadAllLines(Path.Combine(Jobs(), "mpijob.yaml")));
        Assert.Equal(("kubeflow.org/v2beta1", "MPIJob"), ((string)root["apiVersion"], (string)root["kind"]));
        var spec = (Dictionary<string, object>)root["spec"];
        var replicas = (Dictionary<string, object>)spec["mpiReplicaSpecs"];
        int workers = int.Parse((string)((Dictionary<string, object>)replicas["Worker"])["replicas"]),
            slots = int.Parse((string)spec["slotsPerWorker"]);
        foreach (string role in (string[])["Launcher", "Worker"])
            Assert.NotEmpty((string)Container(replicas, role)["image"]);
        string[] arguments = [.. ((List<object>)Container(replicas, "Launcher")["args"]).Cast<string>()];
        Assert.Equal($"{workers * slots}", arguments[Array.IndexOf(arguments, "-np") + 1]);
        Accepted(arguments[(Array.IndexOf(arguments, "amari") + 1)..]);
    }

    private static Dictionary<string, object> Container(Dictionary<string, object> replicas, string role)
    {
        var template = (Dictionary<string, object>)((Dictionary<string, object>)replicas[role])["template"];
        return (Dictionary<string, object>)((List<object>)((Dictionary<string, object>)template["spec"])["containers"]).Single();
    }

    /// <summary>The tool's parser takes the arguments.</summary>
    private static void Accepted(string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        Assert.Equal(0, Amari.Cli.Commands.CommandLine.Run([.. arguments, "--help"], output, error));
        foreach (string option in arguments.Where(a => a.StartsWith("--", StringComparison.Ordinal)))
            Assert.Contains(option, output.ToString(), StringComparison.Ordinal);
    }

    private static string Jobs([System.Runtime.CompilerServices.CallerFilePath] string path = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "..", "..", "..", "docs", "jobs"));

    /// <summary>Block mappings and sequences, plain and quoted scalars, flow sequences of scalars, comments: what the job file uses of
    /// YAML; anything else is an error.</summary>
    private sealed class Yaml
    {
        private readonly List<(int Indent, string Text)> _lines = [];
        private int _next;

        public static Dictionary<string, object> Parse(string[] lines)
        {
            var yaml = new Yaml();
            foreach (string line in lines)
            {
                Assert.DoesNotContain('\t', line);
                string text = line.TrimStart(' ');
                if (text.Length > 0 && text[0] != '#')
                    yaml._lines.Add((line.Length - text.Length, text.TrimEnd()));
            }
            var result = (Dictionary<string, object>)yaml.Block(0);
            Assert.Equal(yaml._lines.Count, yaml._next);
            return result;
        }

        private object Block(int indent)
        {
            if (!_lines[_next].Text.StartsWith("- ", StringComparison.Ordinal))
                return Mapping(indent);
            var items = new List<object>();
            while (_next < _lines.Count && _lines[_next].Indent == indent && _lines[_next].Text.StartsWith("- ", StringComparison.Ordinal))
            {
                string item = _lines[_next].Text[2..].TrimStart();
                if (item[0] is '"' or '\'' || !Regex.IsMatch(item, "^[^:]+:( |$)"))
                {
                    items.Add(Scalar(item));
                    _next++;
                }
                else
                {
                    int inner = indent + _lines[_next].Text.Length - item.Length;
                    _lines[_next] = (inner, item);
                    items.Add(Mapping(inner));
                }
            }
            return items;
        }

        private Dictionary<string, object> Mapping(int indent)
        {
            var map = new Dictionary<string, object>();
            while (_next < _lines.Count && _lines[_next].Indent == indent)
            {
                var match = Regex.Match(_lines[_next].Text, "^([A-Za-z][A-Za-z0-9]*):(?: (.*))?$");
                Assert.True(match.Success, _lines[_next].Text);
                _next++;
                Assert.True(match.Groups[2].Length > 0 || (_next < _lines.Count && _lines[_next].Indent > indent), match.Value);
                Assert.True(
                    map.TryAdd(
                        match.Groups[1].Value,
                        match.Groups[2].Length > 0 ? Scalar(match.Groups[2].Value) : Block(_lines[_next].Indent)
                    ),
                    match.Value
                );
            }
            return map;
        }

        private static object Scalar(string text)
        {
            if (text[0] == '[')
                return text[1..^1].Split(',', StringSplitOptions.TrimEntries).Select(Scalar).ToList();
            if (text[0] is not ('"' or '\''))
                return Regex.IsMatch(text, "^[A-Za-z0-9/.][^#{}&*!|>%@`]*$") ? text : throw new FormatException(text);
            Assert.True(text.Length > 1 && text[^1] == text[0], text);
            return text[1..^1];
        }
    }
}
