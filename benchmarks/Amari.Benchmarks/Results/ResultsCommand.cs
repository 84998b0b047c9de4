using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Amari.Benchmarks.Results.Tables;
using Amari.Reporting;
using Amari.Serialization;

namespace Amari.Benchmarks.Results;

/// <summary><c>results</c>: runs the recipes that are not complete, and generates the tables of <c>docs/results.md</c>.</summary>
/// <param name="root">The folder of the repository.</param>
/// <param name="runner">Runs the processes.</param>
/// <param name="output">For reports.</param>
internal sealed class ResultsCommand(string root, IPartRunner runner, TextWriter output)
{
    private const string Page = "results.md";

    private string Published => Path.Combine(root, "docs", "results");

    /// <summary>Runs the command in the repository that contains the current folder.</summary>
    /// <returns>0 if all recipes are complete, 1 if one was stopped or failed, 2 for a bad argument.</returns>
    public static int Run(string[] args, Func<string, int> fail)
    {
        for (var folder = new DirectoryInfo(Environment.CurrentDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Amari.slnx")))
                return new ResultsCommand(folder.FullName, new ChildProcess(), Console.Out).Run(args, fail, CancellationToken.None);
        return fail($"'{Environment.CurrentDirectory}' is not in a clone of the repository: there is no Amari.slnx above it.");
    }

    /// <summary>The same with a token that stops it, in addition to signals.</summary>
    public int Run(IReadOnlyList<string> args, Func<string, int> fail, CancellationToken stop)
    {
        try
        {
            var arguments = ResultsArguments.Of(args);
            var all = RecipeCatalog.All(arguments.Scale);
            var chosen = Chosen(all, arguments);
            if (arguments.List)
                return List(chosen, arguments.Jobs);
            string folder = arguments.Out is null ? Published : Path.GetFullPath(arguments.Out);
            if (arguments.Scale < 1 && Path.GetRelativePath(Published, folder) == ".")
                throw new ArgumentException($"--out is '{arguments.Out}', which holds results; a trial needs another folder.");
            var space = new Workspace(
                arguments.Out is null ? Path.Combine(root, "artifacts", "results") : Path.Combine(folder, "work"),
                folder
            );
            return Run(arguments, all, chosen, space, stop);
        }
        catch (ArgumentException e)
        {
            return fail(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or JsonException)
        {
            fail(e.Message);
            return 1;
        }
    }

    private int Run(
        ResultsArguments arguments,
        IReadOnlyList<Recipe> all,
        IReadOnlyList<Recipe> chosen,
        Workspace space,
        CancellationToken stop
    )
    {
        bool isComplete = true;
        if (!arguments.WriteOnly)
        {
            if (arguments.Again)
                foreach (var recipe in chosen)
                    space.Delete(recipe);
            using var source = CancellationTokenSource.CreateLinkedTokenSource(stop);
            using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
            using var termination = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
            var queue = new RecipeQueue(chosen, space, runner, arguments.Jobs, output, Complete);
            isComplete = queue.Run(source.Token).GetAwaiter().GetResult();

            void Stop(PosixSignalContext signal)
            {
                signal.Cancel = true;
                source.Cancel();
            }
        }
        WritePage(all, space);
        return isComplete ? 0 : 1;

        void Complete(Recipe recipe)
        {
            space.Write(recipe, RecipeJson.Of(recipe, space, runner, arguments.Jobs, arguments.Scale < 1));
            WritePage(all, space);
        }
    }

    private void WritePage(IReadOnlyList<Recipe> all, Workspace space)
    {
        string template = Path.Combine(root, "docs", Page),
            page = space.Out + ".md";
        string text = GeneratedBlocks.Replace(File.ReadAllText(template), ResultTables.Of(all, space));
        Directory.CreateDirectory(Path.GetDirectoryName(page)!);
        if (!File.Exists(page) || File.ReadAllText(page) != text)
            AtomicFile.Write(page, Encoding.UTF8.GetBytes(text));
    }

    private int List(IReadOnlyList<Recipe> recipes, int jobs)
    {
        foreach (var r in recipes)
            output.WriteLine($"{r.Id, -26} {Number.Wait(r.Seconds), -12} {(r.IsAlone ? "alone  " : "       ")} {r.Title}");
        var parts = recipes.SelectMany(r => r.Parts.Select(p => new QueuedPart(r, p))).ToList();
        output.WriteLine(
            $"{"all", -26} {Number.Wait(recipes.Sum(r => r.Seconds))} of one core; {Number.Wait(QueuedPart.Left(parts, jobs))} with "
                + $"--jobs {jobs}"
        );
        return 0;
    }

    private static IReadOnlyList<Recipe> Chosen(IReadOnlyList<Recipe> all, ResultsArguments arguments)
    {
        if (arguments.Only is not { } only)
            return all;
        string? unknown = only.FirstOrDefault(id => all.All(r => r.Id != id));
        return unknown is null
            ? [.. all.Where(r => only.Contains(r.Id))]
            : throw new ArgumentException($"--only is '{unknown}'; the recipes are {string.Join(", ", all.Select(r => r.Id))}.");
    }
}
