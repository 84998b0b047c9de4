using System.Globalization;
using System.Reflection;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Amari.Tests.Architecture;

/// <summary>Compiles the blocks of pages, all in one assembly: a page is a class, and each of its blocks a method, or types in the class.
/// Errors name page and line.</summary>
internal sealed class CodeCompilation
{
    private const string Usings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using Amari;
        global using TorchSharp;
        global using static TorchSharp.torch;
        """;

    /// <summary>What the pages assume, as the last lines of docs/choosing.md say.</summary>
    private const string Assumed = """
        public abstract class Assumed
        {
            protected static nn.Module<Tensor, Tensor> model = null!, body = null!, head = null!;
            protected static Tensor x = null!, y = null!;
            protected static IReadOnlyList<(Tensor X, Tensor Y)> batches = null!;
            protected static Likelihood likelihood = null!;
        }
        """;

    private static readonly CSharpParseOptions Options = new(LanguageVersion.CSharp14);

    private readonly CSharpCompilation _compilation;
    private readonly IReadOnlyList<CodePage> _pages;

    /// <param name="pages">Their files must differ.</param>
    /// <param name="assuming">Whether <c>model</c>, <c>x</c>, <c>y</c> and the like are there. If not, each block stands for
    /// itself.</param>
    public CodeCompilation(IReadOnlyList<CodePage> pages, bool assuming)
    {
        _pages = pages;
        var trees = pages.Index().SelectMany(p => Trees(p.Item, p.Index, assuming));
        _compilation = CSharpCompilation.Create(
            "Amari.Pages",
            [CSharpSyntaxTree.ParseText(Usings, Options), CSharpSyntaxTree.ParseText(Assumed, Options), .. trees],
            [
                .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
                    .Split(Path.PathSeparator)
                    .Select(f => MetadataReference.CreateFromFile(f)),
            ],
            new(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable)
        );
    }

    /// <summary>The errors of the compiler, as <c>docs/page.md:12: message</c>.</summary>
    public IReadOnlyList<string> Errors =>
        [
            .. _compilation
                .GetDiagnostics()
                .Where(d => d.Severity == DiagnosticSeverity.Error)
                .Select(d => (At: d.Location.GetMappedLineSpan(), Text: d.GetMessage(CultureInfo.InvariantCulture)))
                .Select(d => $"{d.At.Path}:{d.At.StartLinePosition.Line + 1}: {d.Text}"),
        ];

    /// <summary>Runs every block.</summary>
    /// <returns>What failed, as <see cref="Errors"/>.</returns>
    public IReadOnlyList<string> Run()
    {
        using var file = new MemoryStream();
        var result = _compilation.Emit(file);
        if (!result.Success)
            return Errors;
        var assembly = Assembly.Load(file.ToArray());
        List<string> failures = [];
        foreach (var (index, page) in _pages.Index())
        foreach (var block in page.Blocks.Where(b => !b.IsContext))
        {
            using var scope = NewDisposeScope();
            try
            {
                assembly.GetType(Page(index))!.GetMethod(Method(block))!.Invoke(null, null);
            }
            catch (TargetInvocationException e)
            {
                failures.Add($"{page.File}:{block.Line}: {e.InnerException!.Message.Split('\n')[0]}");
            }
        }
        return failures;
    }

    private static string Page(int index) => $"Page{index}";

    private static string Method(CodePage.Block block) => $"Line{block.Line}";

    /// <summary>One tree per block. A block also has the usings of the blocks above it.</summary>
    private static IEnumerable<SyntaxTree> Trees(CodePage page, int index, bool assuming)
    {
        var usings = new StringBuilder();
        foreach (var block in page.Blocks)
        {
            var root = CSharpSyntaxTree.ParseText(block.Text, Options).GetCompilationUnitRoot();
            if (!assuming)
                usings.Clear();
            StringBuilder members = new(),
                statements = new();
            foreach (var directive in root.Usings)
                Add(usings, directive);
            foreach (var member in root.Members)
                Add(member is GlobalStatementSyntax && !block.IsContext ? statements : members, member);
            yield return CSharpSyntaxTree.ParseText(
                $$"""
                {{usings}}
                public partial class {{Page(index)}} {{(assuming ? ": Assumed" : "")}}
                {
                {{members}}
                public static void {{Method(block)}}()
                {
                {{statements}}
                }
                }
                """,
                Options
            );

            void Add(StringBuilder text, CSharpSyntaxNode node)
            {
                int line = block.Line + root.SyntaxTree.GetLineSpan(node.FullSpan).StartLinePosition.Line;
                text.Append(CultureInfo.InvariantCulture, $"\n#line {line} \"{page.File}\"\n{node.ToFullString()}\n");
            }
        }
    }
}
