using System.Net.Http.Json;
using System.Text.Json;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

internal sealed record ClientLimit(long Capacity, double Rate);

/// <summary>An operator who creates, changes and deletes clients until the program is killed, and remembers which edits
/// were acknowledged.</summary>
/// <param name="prefix">The prefix of its clients' ids.</param>
internal sealed class Editor(Uri admin, string prefix, int seed)
{
    private const int Clients = 8;

    private readonly Random _random = new(seed);
    private readonly Dictionary<string, ClientLimit> _kept = [];
    private (string Id, ClientLimit? After)? _open;

    public int Acknowledged { get; private set; }

    /// <summary>Edits without an answer: they may have been made or not.</summary>
    public int Cut { get; private set; }

    /// <summary>Edits until the program is killed.</summary>
    public async Task RunAsync()
    {
        using var http = new HttpClient();
        while (true)
        {
            string id = prefix + _random.Next(Clients);
            var limit = new ClientLimit(_random.Next(1, 1000), _random.Next(1, 4000) / 8.0);
            (HttpMethod method, ClientLimit? after) = (_random.Next(4), _kept.GetValueOrDefault(id)) switch
            {
                (_, null) => (HttpMethod.Post, limit),
                (0, _) => (HttpMethod.Delete, null),
                (1, var before) => (HttpMethod.Patch, before with { Capacity = limit.Capacity }),
                _ => (HttpMethod.Put, limit),
            };
            _open = (id, after);
            if (!await SendAsync(http, method, id, after))
            {
                Cut++;
                return;
            }
            Keep(id, after);
            _open = null;
            Acknowledged++;
        }
    }

    /// <summary>Sends the same edit again and again, until the program is killed.</summary>
    public async Task RepeatAsync(string id, ClientLimit limit)
    {
        using var http = new HttpClient();
        while (await SendAsync(http, HttpMethod.Put, id, limit))
        {
            await Task.Yield();
        }
    }

    public async Task<bool> PutAsync(string id, ClientLimit limit)
    {
        using var http = new HttpClient();
        return await SendAsync(http, HttpMethod.Put, id, limit);
    }

    /// <summary>Asserts that the program has all acknowledged edits and no others.</summary>
    public static async Task AssertKeptAsync(
        Uri admin, Editor[] editors, params (string Id, ClientLimit Limit)[] more)
    {
        using var http = new HttpClient();
        JsonElement page = await http.GetFromJsonAsync<JsonElement>(new Uri(admin, "clients?limit=1000"));
        var there = page.GetProperty("items").EnumerateArray().ToDictionary(
            static c => c.GetProperty("client_id").GetString()!,
            static c => new ClientLimit(
                c.GetProperty("capacity").GetInt64(), c.GetProperty("rate_per_sec").GetDouble()));
        foreach (Editor editor in editors)
        {
            editor.Settle(there);
        }
        Assert.Equal(editors.SelectMany(static e => e._kept).Select(static c => (c.Key, c.Value)).Concat(more)
            .OrderBy(static c => c.Item1, StringComparer.Ordinal),
            there.Select(static c => (c.Key, c.Value)).OrderBy(static c => c.Key, StringComparer.Ordinal));
    }

    /// <summary>Asserts that an edit without an answer was made completely or not at all.</summary>
    private void Settle(Dictionary<string, ClientLimit> there)
    {
        if (_open is { } open && there.GetValueOrDefault(open.Id) == open.After)
        {
            Keep(open.Id, open.After);
        }
        _open = null;
    }

    private void Keep(string id, ClientLimit? limit)
    {
        if (limit is null)
        {
            _kept.Remove(id);
        }
        else
        {
            _kept[id] = limit;
        }
    }

    private async Task<bool> SendAsync(HttpClient http, HttpMethod method, string id, ClientLimit? limit)
    {
        bool create = method == HttpMethod.Post;
        using var request = new HttpRequestMessage(method, new Uri(admin, create ? "clients" : "clients/" + id));
        request.Content = limit is null ? null : create
            ? JsonContent.Create(new { client_id = id, capacity = limit.Capacity, rate_per_sec = limit.Rate })
            : JsonContent.Create(new { capacity = limit.Capacity, rate_per_sec = limit.Rate });
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request);
            Assert.True(response.IsSuccessStatusCode, $"{method} {id}: {(int)response.StatusCode}");
            return true;
        }
        catch (HttpRequestException)
        {
            return false; // killed
        }
    }
}
