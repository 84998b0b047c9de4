using System.Diagnostics;
using Amari.Serialization;
using Amari.Tests.Training;
using static Amari.Tests.Serialization.PyTorchFixture;

namespace Amari.Tests.Serialization;

/// <summary>What PyTorch itself says about files that are written here.</summary>
[Collection(nameof(Processes))]
public sealed class PyTorchFilePythonTests : IDisposable
{
    private const string Python = "/usr/bin/python3";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>With the same names, types and numbers, also by the reader that executes nothing (<c>weights_only</c>).</summary>
    [Fact]
    public void PyTorch_reads_what_is_written()
    {
        Assert.SkipUnless(HasTorch(), "python3-torch is not installed.");
        using (var file = PyTorchFile.Load(PathOf("tensors.pt")))
            PyTorchFile.Save(_folder.File("ours.pt"), file.Tensors);
        var (code, output) = Run(
            """
            import sys, torch
            ours, theirs = [torch.load(f) for f in sys.argv[1:]]
            assert list(ours) == list(theirs)
            for name, tensor in theirs.items():
                assert ours[name].dtype == tensor.dtype and torch.equal(ours[name], tensor), name
            assert list(torch.load(sys.argv[1], weights_only=True)) == list(theirs)
            print(len(ours))
            """,
            _folder.File("ours.pt"),
            PathOf("tensors.pt")
        );
        Assert.True(code == 0, output);
        Assert.Equal("17", output.Trim());
    }

    private static bool HasTorch() =>
        File.Exists(Python) && Run("import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)").Code == 0;

    private static (int Code, string Output) Run(string program, params string[] arguments)
    {
        using var python = Process.Start(
            new ProcessStartInfo(Python, ["-c", program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true }
        )!;
        var error = python.StandardError.ReadToEndAsync();
        string output = python.StandardOutput.ReadToEnd();
        python.WaitForExit();
        return (python.ExitCode, output + error.Result);
    }
}
