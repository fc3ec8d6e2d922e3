using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Penstock.Control.Admin;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary>The answer of the admin API: a body (null for 204) or a fault.</summary>
/// <param name="Body">The body; of an error too, if the API sent one.</param>
/// <param name="Fault">One line for the operator; null if there is no fault.</param>
/// <param name="Status">The HTTP status; 0 if there was no answer.</param>
internal readonly record struct AdminAnswer(JsonNode? Body, string? Fault, int Status = 0);

/// <summary>Calls the admin API of a running Penstock; every failure becomes one line for the operator.</summary>
internal sealed class AdminClient : IDisposable
{
    private const int PageSize = 500;
    private const int CopyBytes = 64 * 1024;

    private const string UnixScheme = "unix";

    private readonly HttpClient _http;
    private readonly string _origin;

    /// <param name="url">See <see cref="TryUrl"/>.</param>
    /// <param name="timeoutSeconds">How long to wait until an answer begins.</param>
    public AdminClient(Uri url, string token, double timeoutSeconds)
    {
        bool isSocket = url.Scheme == UnixScheme;
        Origin = isSocket ? url.OriginalString : url.GetLeftPart(UriPartial.Authority);
        _origin = isSocket ? "http://localhost" : Origin;
        var sockets = new SocketsHttpHandler { UseProxy = !isSocket && !url.IsLoopback };
        if (isSocket)
        {
            var file = new UnixDomainSocketEndPoint(url.OriginalString[(UnixScheme.Length + 1)..]);
            sockets.ConnectCallback = (_, cancel) => ConnectAsync(file, cancel);
        }
        _http = new(sockets) { Timeout = TimeSpan.FromSeconds(timeoutSeconds) };
        if (token.Length > 0)
        {
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }
    }

    /// <summary>The address of the API, for messages.</summary>
    private string Origin { get; }

    public void Dispose() => _http.Dispose();

    /// <summary><c>http://host:port</c> or <c>unix:/path</c>.</summary>
    public static bool TryUrl(string text, out Uri url, out string error)
    {
        error = $"'{text}' is not a URL: write http://host:port or unix:/path";
        return Uri.TryCreate(text, UriKind.Absolute, out url!) && (url.Scheme is "http" or "https"
            || (url.Scheme == UnixScheme && ConfigValue.TryListen(text, out _, out error)));
    }

    public static bool IsClient(JsonNode? body) =>
        body is JsonObject client && client["client_id"]?.GetValueKind() == JsonValueKind.String;

    public static string PathOf(string clientId) => ClientEndpoints.PathOf(clientId);

    /// <summary>Reads all clients, page by page.</summary>
    public async Task<AdminAnswer> ListAsync()
    {
        var clients = new JsonArray();
        string? cursor = null;
        do
        {
            string from = cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor);
            (JsonNode? page, string? fault, int _) =
                await SendAsync(HttpMethod.Get, $"/clients?limit={PageSize}{from}");
            if (fault is not null)
            {
                return new(null, fault);
            }

            if (page is not JsonObject || page["items"] is not JsonArray items || !items.All(IsClient))
            {
                return new(null, NotPenstock("answered no list of clients"));
            }

            foreach (JsonNode? client in items)
            {
                clients.Add(client?.DeepClone());
            }

            cursor = (string?)page["next_cursor"];
        }
        while (cursor is { Length: > 0 });
        return new(clients, null);
    }

    public async Task<AdminAnswer> SendAsync(HttpMethod method, string path, JsonObject? body = null)
    {
        using HttpRequestMessage request = Request(method, path);
        if (body is not null)
        {
            request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        }

        return await AskAsync(async () =>
        {
            using HttpResponseMessage response = await _http.SendAsync(request);
            return Read(response, await response.Content.ReadAsStringAsync());
        });
    }

    /// <summary>Sends a file.</summary>
    public async Task<AdminAnswer> UploadAsync(string path, Stream file, string type)
    {
        using HttpRequestMessage request = Request(HttpMethod.Post, path);
        request.Content = new StreamContent(file, CopyBytes);
        request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        request.Headers.ExpectContinue = true; // a rejection arrives before the file is sent, not as a broken pipe
        return await AskAsync(async () =>
        {
            using HttpResponseMessage response = await _http.SendAsync(request);
            return Read(response, await response.Content.ReadAsStringAsync());
        });
    }

    /// <summary>Copies the bytes of an answer as they arrive.</summary>
    /// <param name="open">Called only if the answer is a success.</param>
    public async Task<AdminAnswer> DownloadAsync(string path, Func<Stream> open)
    {
        using HttpRequestMessage request = Request(HttpMethod.Get, path);
        return await AskAsync(async () =>
        {
            using HttpResponseMessage response =
                await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            if (!response.IsSuccessStatusCode)
            {
                return Read(response, await response.Content.ReadAsStringAsync());
            }

            using Stream body = await response.Content.ReadAsStreamAsync();
            using Stream file = open();
            byte[] buffer = new byte[CopyBytes];
            for (int count; (count = await ReadSomeAsync(body, buffer)) > 0;)
            {
                await file.WriteAsync(buffer.AsMemory(0, count));
            }

            return new(null, null, (int)response.StatusCode);
        });
    }

    /// <summary>Reads from the connection. Its errors get another type than those of the file, so that the message
    /// names the right cause.</summary>
    private static async Task<int> ReadSomeAsync(Stream body, byte[] buffer)
    {
        try
        {
            return await body.ReadAsync(buffer);
        }
        catch (IOException failure)
        {
            throw new HttpRequestException("the answer is incomplete", failure);
        }
    }

    /// <summary>Sends a request whose answer has a known form.</summary>
    /// <returns>The answer as a value and as JSON, or a fault.</returns>
    public async Task<(T? Value, JsonNode? Body, string? Fault)> AskAsync<T>(
        HttpMethod method, string path, JsonTypeInfo<T> type, JsonObject? body = null) where T : class
    {
        (JsonNode? answer, string? fault, int _) = await SendAsync(method, path, body);
        if (fault is not null)
        {
            return (null, answer, fault);
        }

        try
        {
            return answer.Deserialize(type) is { } value ? (value, answer, null)
                : (null, answer, NotPenstock("answered nothing"));
        }
        catch (JsonException wrong)
        {
            string at = wrong.Path is { Length: > 2 } place ? $", at {place[2..]}" : ""; // without $.
            return (null, answer, NotPenstock($"answered JSON of another form{at}"));
        }
    }

    private static async ValueTask<Stream> ConnectAsync(UnixDomainSocketEndPoint file, CancellationToken cancel)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(file, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (Exception failure)
        {
            socket.Dispose();
            if (failure is SocketException && !File.Exists(file.ToString()))
            {
                throw new HttpRequestException("there is no such file", failure); // the system's words are misleading
            }
            throw;
        }
    }

    private HttpRequestMessage Request(HttpMethod method, string path)
    {
        // The id's percent-encoding must arrive as written, even for an id such as "..".
        var raw = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        return new(method, new Uri(_origin + path, raw));
    }

    private async Task<AdminAnswer> AskAsync(Func<Task<AdminAnswer>> ask)
    {
        try
        {
            return await ask();
        }
        catch (HttpRequestException failure) when (SpeaksNoTls(failure))
        {
            return new(null, $"{Origin} speaks http, not https: write http://{Origin[(Origin.IndexOf(':') + 3)..]}");
        }
        catch (HttpRequestException failure) when (failure.HttpRequestError == HttpRequestError.InvalidResponse)
        {
            return new(null, NotPenstock("speaks no HTTP"));
        }
        catch (HttpRequestException failure) when (failure.InnerException is IOException broken)
        {
            return new(null, $"the connection to the admin API at {Origin} failed: {Cause(broken)}");
        }
        catch (HttpRequestException failure)
        {
            string cause = Cause(failure.InnerException ?? failure);
            return new(null, $"no admin API at {Origin}: {cause}; is Penstock running, and is --admin right?");
        }
        catch (TaskCanceledException)
        {
            return new(null, $"the admin API at {Origin} gave no answer within {_http.Timeout.TotalSeconds} s");
        }
    }

    /// <summary>The other side has answered, but not with a TLS record.</summary>
    private static bool SpeaksNoTls(HttpRequestException failure)
    {
        for (Exception? inner = failure; inner is not null; inner = inner.InnerException)
        {
            if (inner.Message.Contains("frame size", StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The words of the system, which are in the innermost exception, without those of .NET.</summary>
    private static string Cause(Exception failure) => failure switch
    {
        HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded } =>
            "it was closed before the whole answer had arrived",
        IOException { InnerException: SocketException system } => system.Message,
        _ => failure.Message.TrimEnd('.'),
    };

    private static string KindOf(HttpResponseMessage response) =>
        response.Content.Headers.ContentType?.MediaType switch
        {
            "text/html" => "HTML",
            null or "application/json" => "a text that is not JSON",
            { } other => other,
        };

    private AdminAnswer Read(HttpResponseMessage response, string text)
    {
        JsonNode? body;
        try
        {
            body = text.Length == 0 ? null : JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return new(null, NotPenstock($"answered {KindOf(response)} with status {(int)response.StatusCode}"));
        }
        int status = (int)response.StatusCode;
        if (response.IsSuccessStatusCode)
        {
            return new(body, null, status);
        }

        if (response.StatusCode == HttpStatusCode.Unauthorized)
        {
            return new(null, _http.DefaultRequestHeaders.Authorization is null
                ? $"the admin API at {Origin} needs a token: give --token or set $PENSTOCK_TOKEN"
                : $"the token was not accepted by the admin API at {Origin}: see --token and $PENSTOCK_TOKEN");
        }

        var error = body as JsonObject; // its message lists all faults of the request
        return new(error, error?["message"]?.ToString() ?? $"the admin API answered HTTP {status}", status);
    }

    /// <param name="instead">What the other side did, such as "answered nothing".</param>
    public string NotPenstock(string instead) => $"{Origin} does not answer like Penstock's admin API: it {instead}";
}
