using System.Diagnostics;
using System.Globalization;
using Amari.Reporting;

namespace Amari.Benchmarks.Results;

/// <summary>Runs what is missing of recipes: first the parts that may run at the same time, the longest first, then the timings, one by
/// one. Reports when a part begins and ends, and how long the rest will take.</summary>
/// <param name="recipes">The recipes.</param>
/// <param name="space">Their files.</param>
/// <param name="runner">Runs the processes.</param>
/// <param name="jobs">Parts at a time, at least 1.</param>
/// <param name="output">For the reports.</param>
/// <param name="complete">Is called with every recipe whose parts are all done and that was not complete before.</param>
internal sealed class RecipeQueue(
    IReadOnlyList<Recipe> recipes,
    Workspace space,
    IPartRunner runner,
    int jobs,
    TextWriter output,
    Action<Recipe> complete
)
{
    private static readonly TimeSpan BetweenReports = TimeSpan.FromMinutes(1);
    private readonly Lock _lock = new();
    private readonly List<QueuedPart> _parts = [];
    private bool _failed;

    /// <summary>Runs them.</summary>
    /// <param name="stop">Stops the running parts, which keep what is done.</param>
    /// <returns>Whether all recipes are complete.</returns>
    public async Task<bool> Run(CancellationToken stop)
    {
        foreach (var recipe in recipes)
            if (space.IsComplete(recipe))
                Say($"{recipe.Id} is complete");
            else
                Add(recipe);
        using var ended = new CancellationTokenSource();
        var reports = Report(ended.Token);
        await Run(_parts.Where(p => !p.Recipe.IsAlone).OrderByDescending(p => p.Part.Seconds), jobs, stop);
        await Run(_parts.Where(p => p.Recipe.IsAlone), 1, stop);
        await ended.CancelAsync();
        await reports;
        return !_failed && _parts.All(p => p.IsDone);
    }

    private void Add(Recipe recipe)
    {
        foreach (var part in recipe.Parts)
        {
            space.Prepare(recipe, part);
            _parts.Add(new(recipe, part) { IsDone = space.IsDone(recipe, part) || runner.Missing(part.Kind) is not null });
        }
        CompleteIfDone(recipe);
    }

    private async Task Run(IEnumerable<QueuedPart> parts, int atATime, CancellationToken stop)
    {
        var queue = new Queue<QueuedPart>(parts);
        await Task.WhenAll(Enumerable.Range(0, atATime).Select(_ => Worker()));

        async Task Worker()
        {
            while (!stop.IsCancellationRequested && Next() is { } part)
                await Run(part, stop);
        }

        QueuedPart? Next()
        {
            lock (_lock)
                while (queue.TryDequeue(out var part))
                    if (!part.IsDone)
                        return part;
            return null;
        }
    }

    private async Task Run(QueuedPart queued, CancellationToken stop)
    {
        var (recipe, part) = (queued.Recipe, queued.Part);
        Say($"{queued.Name} begins, about {Number.Wait(part.Seconds)}; {Left()}");
        queued.Begun = Stopwatch.GetTimestamp();
        int code = await runner.Run(part.Kind, Arguments(recipe, part), space.LogOf(recipe, part), stop);
        queued.Took = Stopwatch.GetElapsedTime(queued.Begun).TotalSeconds;
        lock (_lock)
        {
            queued.IsDone = space.IsDone(recipe, part);
            if (queued.IsDone)
            {
                Say($"{queued.Name} is done after {Number.Wait(queued.Took)}; {Left()}");
                CompleteIfDone(recipe);
            }
            else if (stop.IsCancellationRequested)
                Say($"{queued.Name} was stopped; the same command continues it");
            else
            {
                _failed = true;
                Say(string.Create(CultureInfo.InvariantCulture, $"{queued.Name} FAILED with exit code {code}; its last lines:"));
                foreach (string line in File.Exists(space.LogOf(recipe, part)) ? File.ReadLines(space.LogOf(recipe, part)).TakeLast(8) : [])
                    Say("  " + line);
            }
        }
    }

    private IReadOnlyList<string> Arguments(Recipe recipe, Part part)
    {
        string folder = space.FolderOf(recipe, part);
        if (part.Kind == PartKind.Comparison)
            return space.IsBegun(recipe, part) ? ["compare", "--resume", folder] : [.. part.Arguments, "--out", folder];
        space.Begin(recipe, part);
        string[] own = part.Arguments[0] == "endurance" ? ["--out", Path.Combine(folder, "runs")] : [];
        return [.. part.Arguments, .. own, "--json", space.DocumentOf(recipe, part)];
    }

    private void CompleteIfDone(Recipe recipe)
    {
        if (!_parts.Where(p => p.Recipe == recipe).All(p => p.IsDone))
            return;
        try
        {
            complete(recipe);
            Say($"{recipe.Id} is complete: {space.JsonOf(recipe)}");
        }
        catch (Exception e) when (e is not OutOfMemoryException) // the other recipes still run
        {
            _failed = true;
            Say($"{recipe.Id} FAILED after its parts: {e.Message}");
        }
    }

    private async Task Report(CancellationToken ended)
    {
        try
        {
            for (; ; )
            {
                await Task.Delay(BetweenReports, ended);
                string running = string.Join(", ", _parts.Where(p => p.IsRunning).Select(p => p.Name));
                Say($"{_parts.Count(p => p.IsDone)} of {_parts.Count} parts are done; running: {running}; {Left()}");
            }
        }
        catch (OperationCanceledException) { }
    }

    private string Left() => $"{Number.Wait(QueuedPart.Left(_parts, jobs))} left";

    private void Say(string line)
    {
        lock (_lock)
            output.WriteLine($"{DateTime.Now:HH:mm:ss} {line}");
    }
}
