using Microsoft.Playwright;

namespace Amari.Tests.Fixtures;

/// <summary>A page of <see cref="Chromium"/>. Closes it.</summary>
internal sealed class OpenPage : IAsyncDisposable
{
    private readonly List<string> _errors = [];

    public OpenPage(IPage page)
    {
        Page = page;
        page.SetDefaultTimeout(20_000);
        page.PageError += (_, error) => _errors.Add(error);
        page.Console += (_, message) =>
        {
            if (message.Type == "error")
                _errors.Add(message.Text);
        };
    }

    public IPage Page { get; }

    /// <summary>The errors of scripts, and what the page's policy refused.</summary>
    public IReadOnlyList<string> Errors => _errors;

    /// <summary>The value of a JavaScript expression.</summary>
    public Task<T> Value<T>(string expression) => Page.EvaluateAsync<T>(expression);

    /// <summary>Waits until a JavaScript expression holds.</summary>
    public Task Until(string expression) => Page.WaitForFunctionAsync($"() => {expression}", null, new() { PollingInterval = 20 });

    public async ValueTask DisposeAsync() => await Page.CloseAsync();
}
