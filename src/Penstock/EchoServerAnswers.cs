using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Penstock;

/// <summary>The answer of an echo server to each path.</summary>
internal static class EchoServerAnswers
{
    private const int MaxEchoedBytes = 1024 * 1024;
    private const double LongestSleepSeconds = 300;
    private const int ChunkBytes = 64 * 1024;

    private static readonly byte[] Filler = [.. Enumerable.Repeat((byte)'x', ChunkBytes)];
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = false,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // never shown in a page; keep it readable in curl
    };

    public static Task AnswerAsync(HttpContext context)
    {
        string path = context.Request.Path.Value ?? "/";
        return path switch
        {
            "/health" or "/ping" => TextAsync(context, 200, "ok"),
            "/sleep" => SleepAsync(context),
            "/echo" => EchoAsync(context),
            "/upload" => UploadAsync(context),
            "/headers" => HeadersAsync(context),
            _ when Tail(path, "/status/") is { } code => StatusAsync(context, code),
            _ when Tail(path, "/bytes/") is { } count => BytesAsync(context, count),
            _ => GreetAsync(context),
        };
    }

    public static string NameOf(HttpContext context) =>
        new System.Net.IPEndPoint(context.Connection.LocalIpAddress!, context.Connection.LocalPort).ToString();

    private static string? Tail(string path, string prefix) =>
        path.StartsWith(prefix, StringComparison.Ordinal) ? path[prefix.Length..] : null;

    public static Task TextAsync(HttpContext context, int status, string line) =>
        BodyAsync(context, status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(line + "\n"));

    private static Task JsonAsync(HttpContext context, JsonObject answer) =>
        BodyAsync(context, 200, "application/json", Encoding.UTF8.GetBytes(answer.ToJsonString(Json) + "\n"));

    private static Task BodyAsync(HttpContext context, int status, string contentType, byte[] body)
    {
        HttpResponse response = context.Response;
        response.StatusCode = status;
        response.ContentType = contentType;
        response.ContentLength = body.Length;
        return HttpMethods.IsHead(context.Request.Method)
            ? Task.CompletedTask
            : response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    private static async Task SleepAsync(HttpContext context)
    {
        if (SleepSeconds(context.Request.Query["delay"].ToString()) is not { } seconds)
        {
            await TextAsync(context, 400,
                $"write /sleep?delay=SECONDS, at most {LongestSleepSeconds}, such as 0.5, 1s or 500ms");
            return;
        }
        try
        {
            await Task.Delay(TimeSpan.FromSeconds(seconds), context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            return; // the client has closed the connection
        }
        await TextAsync(context, 200, $"{NameOf(context)} slept {seconds} s");
    }

    /// <summary>Reads <c>0.5</c>, which are seconds, <c>1s</c> or <c>500ms</c>; null if it is neither, or too long.
    /// </summary>
    private static double? SleepSeconds(string delay)
    {
        (string number, double unit) = delay.EndsWith("ms", StringComparison.Ordinal) ? (delay[..^2], 0.001)
            : delay.EndsWith('s') ? (delay[..^1], 1) : (delay, 1);
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double count)
            && count * unit <= LongestSleepSeconds ? count * unit : null;
    }

    private static Task StatusAsync(HttpContext context, string text)
    {
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int code)
            || code is < 200 or > 599)
        {
            return TextAsync(context, 400, "write /status/CODE with a code from 200 to 599");
        }

        if (code is not (204 or 205 or 304))
        {
            return TextAsync(context, code, $"{code} from {NameOf(context)}");
        }

        context.Response.StatusCode = code;
        return Task.CompletedTask;
    }

    private static async Task BytesAsync(HttpContext context, string text)
    {
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long left))
        {
            await TextAsync(context, 400, "write /bytes/N with a whole number");
            return;
        }
        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = left;
        if (HttpMethods.IsHead(context.Request.Method))
        {
            return;
        }

        for (; left > 0 && !context.RequestAborted.IsCancellationRequested; left -= ChunkBytes)
        {
            await context.Response.Body.WriteAsync(Filler.AsMemory(0, (int)Math.Min(left, ChunkBytes)));
        }
    }

    private static async Task EchoAsync(HttpContext context)
    {
        if (await BodyAsync(context) is not { } body)
        {
            await TextAsync(context, 413, $"/echo returns at most {MaxEchoedBytes} bytes; /upload counts any number");
            return;
        }
        JsonNode? message = JsonIn(body);
        await ShowAsync(context, message is JsonObject json && json.TryGetPropertyValue("message", out JsonNode? inner)
            ? inner?.DeepClone() : message ?? Encoding.UTF8.GetString(body));
    }

    /// <summary>Names the server. A JSON object or list in the body is returned instead, as by <c>/echo</c>.</summary>
    private static async Task GreetAsync(HttpContext context)
    {
        IHttpRequestBodyDetectionFeature? detection = context.Features.Get<IHttpRequestBodyDetectionFeature>();
        if (detection is { CanHaveBody: true } && context.Request.ContentLength is null or <= MaxEchoedBytes
            && await BodyAsync(context) is { } body && JsonIn(body) is { } json and (JsonObject or JsonArray))
        {
            await ShowAsync(context, json);
            return;
        }
        await TextAsync(context, 200, $"Hello from {NameOf(context)}");
    }

    private static Task ShowAsync(HttpContext context, JsonNode? message) => JsonAsync(context, new()
    {
        ["http_method"] = context.Request.Method,
        ["request_uri"] = TargetOf(context),
        ["your_message"] = message,
    });

    /// <returns>The body; null if it has more than <see cref="MaxEchoedBytes"/>.</returns>
    private static async Task<byte[]?> BodyAsync(HttpContext context)
    {
        var body = new MemoryStream();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        for (int read; (read = await context.Request.Body.ReadAsync(buffer)) > 0 && body.Length <= MaxEchoedBytes;)
        {
            body.Write(buffer, 0, read);
        }

        ArrayPool<byte>.Shared.Return(buffer);
        return body.Length > MaxEchoedBytes ? null : body.ToArray();
    }

    private static JsonNode? JsonIn(byte[] body)
    {
        try
        {
            return body.Length == 0 ? null : JsonNode.Parse(body);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static async Task UploadAsync(HttpContext context)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        long bytes = 0L;
        for (int read; (read = await context.Request.Body.ReadAsync(buffer)) > 0;)
        {
            bytes += read;
        }

        ArrayPool<byte>.Shared.Return(buffer);
        await JsonAsync(context, new() { ["bytes"] = bytes });
    }

    private static Task HeadersAsync(HttpContext context)
    {
        var headers = new JsonObject();
        foreach ((string? name, Microsoft.Extensions.Primitives.StringValues values) in context.Request.Headers)
        {
            headers[name] = values.Count == 1 ? values[0] : new JsonArray([.. values.Select(v => (JsonNode?)v)]);
        }

        return JsonAsync(context, new()
        {
            ["request_line"] = $"{context.Request.Method} {TargetOf(context)} {context.Request.Protocol}",
            ["server"] = NameOf(context),
            ["client"] = $"{context.Connection.RemoteIpAddress}:{context.Connection.RemotePort}",
            ["headers"] = headers,
        });
    }

    private static string TargetOf(HttpContext context) =>
        context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
}
