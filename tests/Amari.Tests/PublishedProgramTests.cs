using System.Diagnostics;
using System.Reflection;
using Amari.Native;
using Amari.Tests.Training;
using Amari.Training;

namespace Amari.Tests;

/// <summary>A program that is compiled ahead of time (ReadyToRun), and what the settings of the runtime's compiler change: numbers are
/// protected there, too, and errors are exceptions.</summary>
[Collection(nameof(Processes))]
public sealed class PublishedProgramTests
{
    private const string Source = """
        using System.Diagnostics;
        using Amari;
        using Amari.Native;
        using TorchSharp;
        using static TorchSharp.torch;

        // as the package's start does
        System.Runtime.CompilerServices.RuntimeHelpers.RunModuleConstructor(typeof(AdamW).Module.ModuleHandle);
        using var model = nn.Linear(2, 2);
        // TorchSharp before anything of Amari
        if (args.Length > 0) for (int i = 0; i < 100_000; i++) ((Scalar)i).Dispose();
        using var optimizer = new AdamW(model);
        Console.WriteLine(TorchLibrary.Status.Unprotected ?? "protected");
        Console.WriteLine(TorchLibrary.Status.Unguarded ?? "guarded");
        Console.WriteLine(Error(() => ones(2, 3).matmul(ones(2, 3))));
        Console.WriteLine(Error(() => ones(2, 2, 3).matmul(ones(2, 3))));
        Console.WriteLine(Error(() => ones(3).cummax(1)));
        Console.WriteLine(Error(() => autograd.grad([ones(1)], [ones(1)])));
        Console.WriteLine(Error(() => Thrower.apply(ones(1).requires_grad_()).backward()));
        Console.WriteLine(tensor(3e9).ToInt32());
        bool done = false;
        var collector = new Thread(() => { while (!Volatile.Read(ref done)) GC.Collect(0, GCCollectionMode.Forced, true); });
        collector.Start();
        var clock = Stopwatch.StartNew();
        using var one = ones(32);
        using var three = full(32, 3f);
        for (long n = 0; clock.Elapsed.TotalSeconds < 1.5; n++)
        {
            using var scope = NewDisposeScope();
            float k = n % 100 + 0.5f;
            if (one.add(three, alpha: k)[4].ToSingle() != 1 + 3 * k || (one * k + k)[5].ToSingle() != 2 * k)
                throw new InvalidOperationException("a wrong sum");
        }
        Volatile.Write(ref done, true);
        collector.Join();
        Console.WriteLine("right");

        static string Error(Action call)
        {
            try
            {
                call();
                return "no error";
            }
            catch (System.Runtime.InteropServices.ExternalException e)
            {
                return e.Message.Split('\n')[0];
            }
        }

        sealed class Thrower : autograd.SingleTensorFunction<Thrower>
        {
            public override string Name => nameof(Thrower);
            public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) => ((Tensor)vars[0]).clone();
            public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient) => throw new FormatException("mine");
        }
        """;

    private const string Expected = """
        protected
        guarded
        mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)
        mat1 and mat2 shapes cannot be multiplied (4x3 and 2x3)
        Dimension out of range (expected to be in range of [-1, 0], but got 1)
        element 0 of tensors does not require grad and does not have a grad_fn
        The backward of a custom function threw FormatException: mine
        2147483647
        right
        """;

    [Fact]
    public void Numbers_are_protected_and_errors_are_exceptions_in_a_published_program()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "published for linux-x64");
        using var folder = new TemporaryFolder();
        using var temporary = new TemporaryFolder();
        File.WriteAllText(folder.File("Program.cs"), Source);
        File.WriteAllText(
            folder.File("published.csproj"),
            $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <InvariantGlobalization>true</InvariantGlobalization>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
              <ItemGroup>
                <Reference Include="{typeof(AdamW).Assembly.Location}" />
                <PackageReference Include="TorchSharp" Version="{typeof(torch).Assembly.GetName().Version!.ToString(3)}" />
              </ItemGroup>
            </Project>
            """
        );
        var (code, text) = Run(
            temporary,
            [],
            "publish",
            folder.Path,
            "-r",
            "linux-x64",
            "--self-contained",
            "false",
            "-p:PublishReadyToRun=true",
            "-o",
            folder.File("out")
        );
        Assert.SkipWhen(
            code != 0 && text.Contains("NU1", StringComparison.Ordinal),
            $"the compiler ahead of time cannot be restored: {text}"
        );
        Assert.True(code == 0, text);

        foreach (
            var (variable, argument) in ((string, string[])[])
                [
                    ("A=1", []),
                    ("DOTNET_TieredCompilation=0", []),
                    ("DOTNET_TieredPGO=0", []),
                    ("DOTNET_ReadyToRun=0", []),
                    ("A=1", ["late"]),
                ]
        )
        {
            (code, text) = Run(temporary, [variable], [folder.File("out/published.dll"), .. argument]);
            Assert.True(code == 0 && text.Contains(Expected, StringComparison.Ordinal), $"{variable} {string.Join(' ', argument)}: {text}");
        }
    }

    [Fact]
    public void The_status_says_so()
    {
        Assert.Null(TorchLibrary.Status.Unprotected);
        Assert.Null(TorchLibrary.Status.Unguarded);
    }

    /// <summary>Another TorchSharp may free them otherwise.</summary>
    [Fact]
    public void What_is_not_known_is_named() =>
        Assert.StartsWith(
            "Amari.Tests ",
            Diversion.Find(Assembly.GetExecutingAssembly(), "Void THSTorch_dispose_scalar(IntPtr)", out _),
            StringComparison.Ordinal
        );

    private static (int Code, string Text) Run(TemporaryFolder temporary, string[] environment, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        Processes.WorkIn(temporary.Path, start);
        foreach (string pair in environment)
            start.Environment[pair.Split('=')[0]] = pair.Split('=')[1];
        using var process = Process.Start(start)!;
        var texts = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.WaitForExit();
        return (process.ExitCode, string.Concat(texts.Result));
    }
}
