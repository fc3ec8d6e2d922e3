using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;

namespace Penstock.Commands;

/// <summary>What the admin API answered: a body (null for 204), or a fault.</summary>
/// <param name="Body">Of a fault too, when the API told it.</param>
/// <param name="Fault">One line for the operator.</param>
/// <param name="Status">The HTTP status; 0 when there was no answer.</param>
internal readonly record struct AdminAnswer(JsonNode? Body, string? Fault, int Status = 0);

/// <summary>Asks a running Penstock by its admin API; whatever goes wrong becomes one line for the operator.</summary>
internal sealed class AdminClient : IDisposable
{
    private const int PageSize = 500;
    private const int CopyBytes = 64 * 1024;

    private readonly HttpClient _http;
    private readonly Uri _url;

    /// <param name="timeoutSeconds">Until an answer begins.</param>
    public AdminClient(Uri url, string token, int timeoutSeconds = 10)
    {
        _url = url;
        _http = new() { Timeout = TimeSpan.FromSeconds(timeoutSeconds) };
        if (token.Length > 0)
        {
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }
    }

    private string Origin => _url.GetLeftPart(UriPartial.Authority);

    public void Dispose() => _http.Dispose();

    public static bool IsClient(JsonNode? body) =>
        body is JsonObject client && client["client_id"]?.GetValueKind() == JsonValueKind.String;

    public static string PathOf(string clientId) => ClientEndpoints.PathOf(clientId);

    /// <summary>Every client, page by page.</summary>
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
                return new(null, NotPenstock("no list of clients"));
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
        request.Headers.ExpectContinue = true; // a rejection comes before the file is sent, not as a broken pipe
        return await AskAsync(async () =>
        {
            using HttpResponseMessage response = await _http.SendAsync(request);
            return Read(response, await response.Content.ReadAsStringAsync());
        });
    }

    /// <summary>Copies an answer's bytes as they come.</summary>
    /// <param name="open">Called when the answer is a good one.</param>
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

    /// <summary>A fault of the file is the file's, one of the connection the API's.</summary>
    private static async Task<int> ReadSomeAsync(Stream body, byte[] buffer)
    {
        try
        {
            return await body.ReadAsync(buffer);
        }
        catch (IOException failure)
        {
            throw new HttpRequestException("the answer broke off", failure);
        }
    }

    private HttpRequestMessage Request(HttpMethod method, string path)
    {
        // the id's percent-encoding must arrive as written, even for an id such as ".."
        var raw = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        return new(method, new Uri(Origin + path, raw));
    }

    private async Task<AdminAnswer> AskAsync(Func<Task<AdminAnswer>> ask)
    {
        try
        {
            return await ask();
        }
        catch (HttpRequestException failure) when (failure.InnerException is IOException broken)
        {
            return new(null, $"the connection to the admin API at {Origin} broke: {broken.Message}");
        }
        catch (HttpRequestException failure)
        {
            string cause = failure.InnerException?.Message ?? failure.Message;
            return new(null, $"no admin API at {Origin}: {cause}; is Penstock running, and is --admin right?");
        }
        catch (TaskCanceledException)
        {
            return new(null, $"the admin API at {Origin} gave no answer within {_http.Timeout.TotalSeconds} s");
        }
    }

    private AdminAnswer Read(HttpResponseMessage response, string text)
    {
        JsonNode? body;
        try
        {
            body = text.Length == 0 ? null : JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return new(null, NotPenstock($"HTTP {(int)response.StatusCode} without JSON"));
        }
        int status = (int)response.StatusCode;
        if (response.IsSuccessStatusCode)
        {
            return new(body, null, status);
        }

        if (response.StatusCode == HttpStatusCode.Unauthorized)
        {
            return new(null, $"the admin API at {Origin} wants a token: give --token or set $PENSTOCK_TOKEN");
        }

        var error = body as JsonObject; // its message names every fault of what was sent
        return new(error, error?["message"]?.ToString() ?? $"the admin API answered HTTP {status}", status);
    }

    public string NotPenstock(string what) => $"{Origin} does not answer like Penstock's admin API ({what})";
}
