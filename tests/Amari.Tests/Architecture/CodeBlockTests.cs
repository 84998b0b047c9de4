using Amari.Curvature;
using Amari.Jets;
using Amari.LeastSquares;
using Amari.Serialization;
using Amari.Spectrum;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Architecture;

/// <summary>The C# of README, docs and of the examples in the API reference.</summary>
public sealed class CodeBlockTests
{
    /// <summary>The types that people meet first.</summary>
    private static readonly Type[] First =
    [
        typeof(AdamW),
        typeof(Lion),
        typeof(Sgd),
        typeof(Adam),
        typeof(Muon),
        typeof(Soap),
        typeof(Shampoo),
        typeof(ScheduleFree),
        typeof(PartitionedOptimizer),
        typeof(ParameterGroup),
        typeof(Kfac),
        typeof(CurvatureOptions),
        typeof(Coverage),
        typeof(Categorical),
        typeof(Newton),
        typeof(NewtonCg),
        typeof(Lbfgs),
        typeof(HessianFree),
        typeof(NaturalGradient),
        typeof(LevenbergMarquardt),
        typeof(CurveFit),
        typeof(JetNetwork),
        typeof(PdeModel),
        typeof(Objective),
        typeof(Hessian),
        typeof(GaussNewton),
        typeof(Fisher),
        typeof(KroneckerFactored),
        typeof(Lanczos),
        typeof(LanczosQuadrature),
        typeof(Hutchinson),
        typeof(Verifier),
        typeof(Checkpoint),
        typeof(Trainer),
    ];

    private static IReadOnlyList<CodePage> Examples { get; } =
    [
        .. Directory
            .EnumerateFiles(Path.Combine(SourceTests.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(SourceTests.Root, f))
            .Where(f => !f.Split(Path.DirectorySeparatorChar).Contains("obj"))
            .Order(StringComparer.Ordinal)
            .Select(CodePage.OfSource)
            .Where(p => p.Blocks.Count > 0),
    ];

    [Fact]
    public void The_blocks_of_README_and_docs_compile() =>
        None(new CodeCompilation([.. DocumentationTests.Pages.Select(CodePage.OfMarkdown)], assuming: true).Errors);

    [Fact]
    public void The_examples_of_the_reference_run()
    {
        var written = Console.Out;
        Console.SetOut(TextWriter.Null);
        try
        {
            None(new CodeCompilation(Examples, assuming: false).Run());
        }
        finally
        {
            Console.SetOut(written);
        }
    }

    private static void None(IReadOnlyList<string> errors) => Assert.True(errors.Count == 0, string.Join('\n', errors));

    [Fact]
    public void The_types_that_people_meet_first_have_an_example() =>
        Assert.Empty(First.Select(t => t.Name.Split('`')[0]).Except(Examples.Select(p => Path.GetFileNameWithoutExtension(p.File))));
}
