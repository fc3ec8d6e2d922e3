using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Penstock.Commands;

/// <summary>What the admin API answered: a body (null for 204), or why there is none.</summary>
internal readonly record struct AdminAnswer(JsonNode? Body, string? Fault);

/// <summary>Asks a running Penstock by its admin API; whatever goes wrong becomes one line for the operator.</summary>
internal sealed class AdminClient : IDisposable
{
    private const int PageSize = 500;

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };
    private readonly Uri _url;

    public AdminClient(Uri url, string token)
    {
        _url = url;
        if (token.Length > 0)
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    private string Origin => _url.GetLeftPart(UriPartial.Authority);

    public void Dispose() => _http.Dispose();

    public static string PathOf(string clientId) => "/clients/" + Uri.EscapeDataString(clientId);

    /// <summary>Every client, page by page.</summary>
    public async Task<AdminAnswer> ListAsync()
    {
        var clients = new JsonArray();
        string? cursor = null;
        do
        {
            var from = cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor);
            var (page, fault) = await SendAsync(HttpMethod.Get, $"/clients?limit={PageSize}{from}");
            if (fault is not null)
                return new(null, fault);
            if (page?["items"] is not JsonArray items)
                return new(null, NotPenstock("no list of clients"));
            foreach (var client in items)
                clients.Add(client?.DeepClone());
            cursor = (string?)page["next_cursor"];
        }
        while (cursor is { Length: > 0 });
        return new(clients, null);
    }

    public async Task<AdminAnswer> SendAsync(HttpMethod method, string path, JsonObject? body = null)
    {
        // the id's percent-encoding must arrive as written, even for an id such as ".."
        var raw = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        using var request = new HttpRequestMessage(method, new Uri(Origin + path, raw));
        if (body is not null)
            request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        try
        {
            using var response = await _http.SendAsync(request);
            return Read(response, await response.Content.ReadAsStringAsync());
        }
        catch (HttpRequestException failure)
        {
            var cause = failure.InnerException?.Message ?? failure.Message;
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
        if (response.IsSuccessStatusCode)
            return new(body, null);
        if (response.StatusCode == HttpStatusCode.Unauthorized)
            return new(null, $"the admin API at {Origin} wants a token: give --token or set $PENSTOCK_TOKEN");
        var error = body as JsonObject; // its message names every fault of what was sent
        return new(null, error?["message"]?.ToString() ?? $"the admin API answered HTTP {(int)response.StatusCode}");
    }

    private string NotPenstock(string what) => $"{Origin} does not answer like Penstock's admin API ({what})";
}
