using Penstock.TestKit;

namespace Penstock.BrowserTests;

/// <summary>A page of a test, with a policy that allows only what the page itself brings, inline scripts included.
/// </summary>
internal static class SmallPage
{
    private const string Policy = "default-src 'self'; script-src 'self' 'unsafe-inline'; img-src *; connect-src *";

    public static ScriptedBackend Serve(string body) => ScriptedBackend.Always(
        "<!doctype html><html lang=en><title>Small</title><meta name=viewport content=width=device-width>"
        + $"{body}</html>",
        $"Content-Type: text/html\r\nContent-Security-Policy: {Policy}\r\n");

    public static Uri Url(this ScriptedBackend server) => new($"http://127.0.0.1:{server.Port}/");
}
