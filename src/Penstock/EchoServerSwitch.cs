using System.Globalization;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;

namespace Penstock;

/// <summary><c>POST /stop</c> and <c>POST /start/PORT</c> of an echo server: they make one of the servers fail like a
/// killed one, so that people can watch what a balancer does.</summary>
internal static class EchoServerSwitch
{
    private const string Stop = "/stop";
    private const string Start = "/start/";

    public static bool Wants(HttpContext context) => HttpMethods.IsPost(context.Request.Method)
        && context.Request.Path.Value is { } path
        && (path == Stop || path.StartsWith(Stop + "/", StringComparison.Ordinal)
            || path.StartsWith(Start, StringComparison.Ordinal));

    public static async Task AnswerAsync(HttpContext context, SwitchedListeners listeners)
    {
        IHeaderDictionary fields = context.Request.Headers;
        if (fields.Via.Count > 0 || fields.ContainsKey("X-Forwarded-For"))
        {
            // Callers of the balancer must not be able to stop what is behind it.
            await EchoServerAnswers.TextAsync(context, 403, "ask the echo server itself, not through a balancer");
            return;
        }
        string path = context.Request.Path.Value!;
        int port = path == Stop ? context.Connection.LocalPort : PortIn(path[(path.LastIndexOf('/') + 1)..]);
        if (!listeners.Has(port))
        {
            await EchoServerAnswers.TextAsync(context, 404, "write POST /stop, /stop/PORT or /start/PORT with the port "
                + "of an echo server of this process");
            return;
        }
        if (path.StartsWith(Start, StringComparison.Ordinal))
        {
            await StartAsync(context, listeners, port);
            return;
        }
        string id = context.Connection.Id;
        context.Response.Headers.Connection = "close";
        context.Response.OnCompleted(() => listeners.StopAsync(port, but: id));
        await EchoServerAnswers.TextAsync(context, 200,
            $"{port} has stopped; POST /start/{port} at another of the servers starts it again");
    }

    private static async Task StartAsync(HttpContext context, SwitchedListeners listeners, int port)
    {
        try
        {
            await listeners.StartAsync(port);
        }
        catch (Exception taken) when (taken is IOException or SocketException)
        {
            await EchoServerAnswers.TextAsync(context, 409, $"cannot start {port}: {taken.Message}");
            return;
        }
        await EchoServerAnswers.TextAsync(context, 200, $"{port} has started");
    }

    private static int PortIn(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) ? port : 0;
}
