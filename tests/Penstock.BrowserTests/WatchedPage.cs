using System.Collections.Concurrent;
using Microsoft.Playwright;
using Xunit;

namespace Penstock.BrowserTests;

/// <summary>A page whose faults are noted: errors and warnings of the console, which include violations of its content
/// security policy, exceptions that nothing catches, and requests to anything but the server it came from.</summary>
public sealed class WatchedPage : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _faults = new();
    private readonly ConcurrentBag<string> _allowed = [];
    private readonly string _server;

    internal WatchedPage(IPage page, Uri url)
    {
        (Page, _server) = (page, url.Authority);
        IBrowserContext context = page.Context;
        context.Console += (_, message) => NoteConsole(message);
        context.WebError += (_, error) => _faults.Enqueue($"exception: {error.Error}");
        context.Request += (_, request) => NoteRequest(request.Url);
        page.WebSocket += (_, socket) => NoteRequest(socket.Url);
        page.Crash += (_, _) => _faults.Enqueue("the page crashed");
    }

    public IPage Page { get; }

    /// <summary>What was noted and is not allowed.</summary>
    public IEnumerable<string> Faults =>
        _faults.Where(fault => !_allowed.Any(part => fault.Contains(part, StringComparison.Ordinal)));

    /// <summary>Faults that contain this text are expected by the test, such as <c>ERR_CONNECTION_REFUSED</c> when it
    /// stops the server.</summary>
    public void Allow(string part) => _allowed.Add(part);

    /// <summary>Fails if there were faults.</summary>
    public async Task AssertCleanAsync()
    {
        if (!Page.IsClosed)
        {
            await Page.EvaluateAsync("0"); // what the page did before has been noted when this is answered
        }
        string[] faults = [.. Faults];
        Assert.True(faults.Length == 0, $"{Page.Url} has faults:\n{string.Join('\n', faults)}");
    }

    public ValueTask DisposeAsync() => Page.Context.DisposeAsync();

    private void NoteConsole(IConsoleMessage message)
    {
        if (message.Type is "error" or "warning")
        {
            _faults.Enqueue($"console {message.Type}: {message.Text} ({message.Location})");
        }
    }

    private void NoteRequest(string url)
    {
        var uri = new Uri(url);
        if (uri.Authority.Length > 0 && uri.Authority != _server) // data: and blob: have none
        {
            _faults.Enqueue($"request to another server: {url}");
        }
    }
}
