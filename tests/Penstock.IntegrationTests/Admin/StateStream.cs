using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Penstock.IntegrationTests.Admin;

/// <summary>A reader of <c>GET /events</c>.</summary>
internal sealed class StateStream : IDisposable
{
    private readonly HttpClient _http;
    private readonly StreamReader _lines;

    private StateStream(HttpClient http, HttpResponseMessage response, Stream stream) =>
        (_http, Response, _lines) = (http, response, new StreamReader(stream));

    public HttpResponseMessage Response { get; }

    public static async Task<StateStream> OpenAsync(Uri admin, string? token = null)
    {
        var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(admin, "/events"));
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return new(http, response, await response.Content.ReadAsStreamAsync());
    }

    /// <summary>The body of an answer; of a stream, which has no end, its first event.</summary>
    /// <param name="answer">Its body has not been read.</param>
    public static async Task<string> BodyOf(HttpResponseMessage answer)
    {
        if (answer.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            return await answer.Content.ReadAsStringAsync();
        }
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync());
        var text = new StringBuilder();
        while (await lines.ReadLineAsync().WaitAsync(TimeSpan.FromMinutes(1)) is { Length: > 0 } line)
        {
            text.Append(line).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>The next state; null when the stream has ended.</summary>
    public async Task<JsonElement?> NextAsync()
    {
        try
        {
            while (await _lines.ReadLineAsync().WaitAsync(TimeSpan.FromMinutes(1)) is { } line)
            {
                if (line.StartsWith("data: ", StringComparison.Ordinal))
                {
                    return JsonElement.Parse(line["data: ".Length..]);
                }
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            // Penstock has closed the connection.
        }
        return null;
    }

    /// <summary>The first state from now on for which something is true.</summary>
    public async Task<JsonElement> FirstAsync(Func<JsonElement, bool> holds)
    {
        for (int i = 0; i < 120; i++)
        {
            JsonElement state = await NextAsync() ?? throw new InvalidOperationException("the stream has ended");
            if (holds(state))
            {
                return state;
            }
        }
        throw new TimeoutException("no state of 120 is as expected");
    }

    public void Dispose()
    {
        _lines.Dispose();
        Response.Dispose();
        _http.Dispose();
    }
}
