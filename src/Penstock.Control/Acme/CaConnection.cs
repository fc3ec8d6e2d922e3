using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Acme;

/// <summary>What a CA answered.</summary>
internal sealed record CaAnswer(string Body, string? Location, TimeSpan? RetryAfter);

/// <summary>Sends requests to one CA: signed ones, each with a nonce that the CA has given (RFC 8555 §6). Not
/// thread-safe.</summary>
internal sealed class CaConnection(HttpClient http, string directory, TimeProvider time)
{
    /// <summary>A CA may reject a nonce at any time, for instance because another of its machines gave it.</summary>
    private const int MaxTries = 10;

    private string? _nonce;
    private CaDirectory? _urls;

    /// <summary>The URL of the CA's directory.</summary>
    public string Directory => directory;

    /// <summary>A client whose requests end in time.</summary>
    /// <param name="roots">Certificates by which the server is trusted; empty: those of the system.</param>
    public static HttpClient NewClient(PemText roots)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
        };
        if (roots.Path.Length > 0)
        {
            var policy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            policy.CustomTrustStore.ImportFromPem(Encoding.UTF8.GetString(roots.AsSpan()));
            handler.SslOptions.CertificateChainPolicy = policy;
        }
        return new(handler)
        {
            Timeout = TimeSpan.FromSeconds(30),
            MaxResponseContentBufferSize = 1024 * 1024,
            DefaultRequestHeaders = { UserAgent = { new ProductInfoHeaderValue("Penstock", ProductVersion.Short) } },
        };
    }

    /// <summary>The CA's URLs; read once.</summary>
    public async Task<CaDirectory> UrlsAsync(CancellationToken stop) =>
        _urls ??= Parse((await GetAsync(directory, stop)).Body, AcmeJson.Default.CaDirectory);

    /// <summary>An unsigned request.</summary>
    public Task<CaAnswer> GetAsync(string url, CancellationToken stop) =>
        SendAsync(() => new HttpRequestMessage(HttpMethod.Get, url), stop);

    /// <summary>Reads something that belongs to the account ("POST-as-GET").</summary>
    public Task<CaAnswer> ReadAsync(AcmeSigner signer, string url, CancellationToken stop) =>
        PostAsync(signer, url, "", stop);

    public Task<CaAnswer> PostAsync<T>(
        AcmeSigner signer, string url, T content, JsonTypeInfo<T> type, CancellationToken stop) =>
        PostAsync(signer, url, JsonSerializer.Serialize(content, type), stop);

    /// <exception cref="AcmeException">The CA's answer is not what RFC 8555 defines.</exception>
    public T Parse<T>(string body, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(body, type)
                ?? throw new AcmeException($"the answer of {directory} is not that of a CA");
        }
        catch (JsonException e)
        {
            throw new AcmeException($"the answer of {directory} is not that of a CA: {e.Message}", e);
        }
    }

    private async Task<CaAnswer> PostAsync(AcmeSigner signer, string url, string payload, CancellationToken stop)
    {
        for (int tries = 1; ; tries++)
        {
            string nonce = await TakeNonceAsync(stop);
            JwsHead head = signer.HeadFor(url) with { Nonce = nonce };
            string body = JsonSerializer.Serialize(
                signer.Key.Sign(head, payload), AcmeJson.Default.SignedRequest);
            try
            {
                return await SendAsync(() => new HttpRequestMessage(HttpMethod.Post, url)
                {
                    // The CA rejects a media type with a charset.
                    Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body))
                    {
                        Headers = { ContentType = new MediaTypeHeaderValue("application/jose+json") },
                    },
                }, stop);
            }
            catch (AcmeException e) when (e.Type == "badNonce" && tries < MaxTries)
            {
                // The answer has brought a new nonce.
            }
        }
    }

    private async Task<string> TakeNonceAsync(CancellationToken stop)
    {
        if (_nonce is null)
        {
            CaDirectory urls = await UrlsAsync(stop);
            await SendAsync(() => new HttpRequestMessage(HttpMethod.Head, urls.NewNonce), stop);
        }
        string nonce = _nonce ?? throw new AcmeException($"{directory} gives no nonce");
        _nonce = null; // each is for one request
        return nonce;
    }

    private async Task<CaAnswer> SendAsync(Func<HttpRequestMessage> request, CancellationToken stop)
    {
        try
        {
            using HttpRequestMessage message = request();
            using HttpResponseMessage response = await http.SendAsync(message, stop);
            if (response.Headers.TryGetValues("Replay-Nonce", out IEnumerable<string>? nonces))
            {
                _nonce = nonces.First();
            }
            string body = await response.Content.ReadAsStringAsync(stop);
            TimeSpan? retryAfter = Wait(response.Headers.RetryAfter);
            return response.IsSuccessStatusCode
                ? new(body, response.Headers.Location?.ToString(), retryAfter)
                : throw Rejection(response.StatusCode, body, retryAfter);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or AuthenticationException)
        {
            Exception cause = e.GetBaseException();
            throw new AcmeException($"{directory} cannot be reached: {cause.Message}{(cause is AuthenticationException
                ? "; if it is a private CA, name its root certificate in tls.acme.ca" : "")}", e);
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new AcmeException($"{directory} did not answer within {http.Timeout.TotalSeconds} s", e);
        }
    }

    private TimeSpan? Wait(RetryConditionHeaderValue? field) =>
        field?.Delta ?? (field?.Date is { } date ? date - time.GetUtcNow() : null);

    private AcmeException Rejection(HttpStatusCode status, string body, TimeSpan? retryAfter)
    {
        CaProblem? problem = null;
        try
        {
            problem = JsonSerializer.Deserialize(body, AcmeJson.Default.CaProblem);
        }
        catch (JsonException)
        {
            // It is the page of a proxy in front of the CA: its status has to do.
        }
        return problem?.Type is null
            ? new AcmeException($"{directory} answers with status {(int)status}") { RetryAfter = retryAfter }
            : Rejection(problem, retryAfter);
    }

    /// <summary>An error of the CA, in its words.</summary>
    public AcmeException Rejection(CaProblem problem, TimeSpan? retryAfter = null) =>
        new($"{directory} says: {problem.Text}") { Type = problem.Word, RetryAfter = retryAfter };
}

/// <summary>Who signs a request: a key, or the account that the CA has for it.</summary>
/// <param name="Account">The account's URL; null: the CA does not know the key yet.</param>
internal sealed record AcmeSigner(AcmeKey Key, string? Account)
{
    public JwsHead HeadFor(string url) => Account is null
        ? new("ES256", url) { Jwk = Key.PublicKey } : new("ES256", url) { Kid = Account };
}
