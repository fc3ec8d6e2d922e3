using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Penstock.TestKit;

/// <summary>A CA that lives by the clock of the test and fails as the test wants. It trusts everybody: Pebble checks
/// signatures, nonces and challenges.</summary>
public sealed class ScriptedCa : IAsyncDisposable
{
    private readonly HttpListener _listener = new();
    private readonly TimeProvider _time;
    private readonly TimeSpan _life;
    private readonly TestRoot _root;
    private readonly Task _running;
    private readonly string _url;
    private readonly ConcurrentDictionary<string, string> _issued = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _proved = new(StringComparer.Ordinal);
    private int _orders;

    public ScriptedCa(TimeProvider time, TimeSpan life)
    {
        (_time, _life) = (time, life);
        _root = new(time.GetUtcNow().AddDays(-1), time.GetUtcNow().AddDays(10_000));
        _url = $"http://127.0.0.1:{PenstockProcess.FreePort().ToString(CultureInfo.InvariantCulture)}/";
        _listener.Prefixes.Add(_url);
        _listener.Start();
        _running = ServeAsync();
    }

    public string DirectoryUrl => _url + "directory";

    /// <summary>How many orders it got, with those that it rejected.</summary>
    public int Orders => _orders;

    /// <summary>How many certificates it has given.</summary>
    public int Issued => _issued.Count;

    /// <summary>The certificates that orders have replaced, by their ids.</summary>
    public ConcurrentQueue<string> Replaced { get; } = new();

    /// <summary>The answer to every order, if it is set: status and body.</summary>
    public (int Status, string Body)? Fault { get; set; }

    /// <summary>The <c>Retry-After</c> of <see cref="Fault"/>.</summary>
    public string? RetryAfter { get; set; }

    /// <summary>When it suggests to renew the certificate of an id; null: it suggests nothing.</summary>
    public Func<string, (DateTimeOffset Start, DateTimeOffset End)>? Window { get; set; }

    /// <summary>It never decides whether a challenge has been answered.</summary>
    public bool NeverDecides { get; set; }

    /// <summary>It rejects orders that name a certificate that they replace.</summary>
    public bool RejectsReplacing { get; set; }

    /// <summary>Orders wait for this.</summary>
    public Task Hold { get; set; } = Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        await _running;
        _root.Dispose();
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            try
            {
                _ = AnswerAsync(await _listener.GetContextAsync());
            }
            catch (Exception e) when (
                e is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        using var reader = new StreamReader(context.Request.InputStream);
        string body = await reader.ReadToEndAsync();
        JsonNode? payload = body.Length == 0 ? null : Payload(body);
        string[] path = context.Request.Url!.AbsolutePath.Split('/');
        if (path[1] == "order" && path.Length == 2)
        {
            await Hold;
        }
        (int status, string text, string? location) = Answer(path[1], path.Length > 2 ? path[2] : "", payload);
        HttpListenerResponse response = context.Response;
        try
        {
            response.StatusCode = status;
            response.Headers["Replay-Nonce"] = Guid.NewGuid().ToString("N");
            if (location is not null)
            {
                response.Headers["Location"] = location;
            }
            if (status >= 400 && RetryAfter is { } wait)
            {
                response.Headers["Retry-After"] = wait;
            }
            // With a length, since the end of a chunked body would wait for a delayed acknowledgement.
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            response.ContentLength64 = bytes.Length;
            await response.OutputStream.WriteAsync(bytes);
            response.Close();
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // The client has gone.
        }
    }

    private static JsonNode? Payload(string body)
    {
        string text = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(
            JsonNode.Parse(body)!["payload"]!.GetValue<string>()));
        return text.Length == 0 ? null : JsonNode.Parse(text);
    }

    private (int Status, string Body, string? Location) Answer(string what, string id, JsonNode? payload) => what switch
    {
        "directory" => (200, new JsonObject
        {
            ["newNonce"] = _url + "nonce", ["newAccount"] = _url + "account", ["newOrder"] = _url + "order",
            ["renewalInfo"] = Window is null ? null : _url + "renewal",
        }.ToJsonString(), null),
        "nonce" => (200, "", null),
        "account" => (201, "{}", _url + "account/1"),
        "order" when id.Length == 0 => NewOrder(payload!),
        "order" => (200, Order(id), null),
        "authorization" => (200, new JsonObject
        {
            ["status"] = _proved.ContainsKey(id) ? "valid" : "pending",
            ["challenges"] = new JsonArray(new JsonObject
            {
                ["type"] = "http-01", ["url"] = $"{_url}challenge/{id}", ["token"] = $"token-{id}",
            }),
        }.ToJsonString(), null),
        "challenge" => Prove(id),
        "finalize" => Finalize(id, payload!),
        "certificate" => (200, _issued[id], null),
        "renewal" => (200, Suggestion(Window!(id)), null),
        _ => (404, "{}", null),
    };

    private static string Suggestion((DateTimeOffset Start, DateTimeOffset End) window) => new JsonObject
    {
        ["suggestedWindow"] = new JsonObject { ["start"] = $"{window.Start:O}", ["end"] = $"{window.End:O}" },
    }.ToJsonString();

    private (int Status, string Body, string? Location) Prove(string id)
    {
        if (!NeverDecides)
        {
            _proved[id] = true;
        }
        return (200, "{}", null);
    }

    private (int Status, string Body, string? Location) NewOrder(JsonNode payload)
    {
        string id = Interlocked.Increment(ref _orders).ToString(CultureInfo.InvariantCulture);
        if (Fault is var (status, body))
        {
            return (status, body, null);
        }
        if (payload["replaces"] is not null && RejectsReplacing)
        {
            return (409, """{ "type": "urn:ietf:params:acme:error:alreadyReplaced" }""", null);
        }
        if (payload["replaces"] is { } replaced)
        {
            Replaced.Enqueue(replaced.GetValue<string>());
        }
        return (201, Order(id), $"{_url}order/{id}");
    }

    private string Order(string id) => new JsonObject
    {
        ["status"] = _issued.ContainsKey(id) ? "valid" : _proved.ContainsKey(id) ? "ready" : "pending",
        ["authorizations"] = new JsonArray($"{_url}authorization/{id}"), ["finalize"] = $"{_url}finalize/{id}",
        ["certificate"] = _issued.ContainsKey(id) ? $"{_url}certificate/{id}" : null,
    }.ToJsonString();

    private (int Status, string Body, string? Location) Finalize(string id, JsonNode payload)
    {
        DateTimeOffset now = _time.GetUtcNow();
        _issued[id] = _root.Issue(
            Base64Url.DecodeFromChars(payload["csr"]!.GetValue<string>()), now, now + _life) + "\n" + _root.Pem;
        return (200, Order(id), null);
    }
}
