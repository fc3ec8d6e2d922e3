using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Penstock.Proxy;

namespace Penstock.Control.Admin;

/// <summary>Decides who may use the admin API. With a token: every caller that has it. Without a token: every caller
/// that reaches the loopback address. A web page in the operator's browser can also do that; it is recognised by its
/// Host (DNS rebinding) or Origin and rejected.</summary>
internal sealed class AdminGuard(string token, FailedLogins failed)
{
    private readonly byte[]? _tokenHash = token.Length == 0 ? null : Hash(token);

    /// <returns>The error to answer, or null if the request is allowed.</returns>
    public async ValueTask<ApiError?> CheckAsync(HttpContext context)
    {
        HttpRequest request = context.Request;
        if (request.Path == "/livez" || request.Path == "/readyz")
        {
            return null;
        }

        if (_tokenHash is not null && await CheckTokenAsync(context) is { } error)
        {
            return error;
        }
        // With a token any host name is accepted: a page that uses DNS rebinding cannot know the token.
        if (_tokenHash is null && context.Connection.LocalIpAddress is not null && !IsLocal(request.Host.Host))
        {
            return new(403, $"host '{request.Host.Host}' is rejected: without an admin token use localhost or an IP "
                + "address");
        }
        if (!HttpMethods.IsGet(request.Method) && request.Headers.Origin is [{ } origin]
            && !(Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) && IsSame(uri, request.Host)))
        {
            return new(403, $"requests from web pages of {origin} are rejected");
        }
        return null;
    }

    private async ValueTask<ApiError?> CheckTokenAsync(HttpContext context)
    {
        string who = ClientEndpoints.Who(context);
        bool given = context.Request.Headers.Authorization.Count > 0;
        if (given && failed.IsBusy(who))
        {
            return TooMany(context);
        }

        if (HasToken(context.Request))
        {
            return null;
        }

        failed.Note(who, given ? "wrong token" : "no token");
        if (given && !await failed.WaitAsync(who))
        {
            return TooMany(context);
        }

        context.Response.Headers.WWWAuthenticate = "Bearer realm=\"penstock\"";
        return new(401, "this request needs the admin token: Authorization: Bearer <token>");
    }

    private static ApiError TooMany(HttpContext context)
    {
        context.Response.Headers.RetryAfter = "1";
        return new(429, "too many wrong tokens from this address at the same time");
    }

    private static bool IsLocal(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || AddressText.TryParse(host.AsSpan().Trim("[]"), out _);

    private static bool IsSame(Uri origin, HostString host) =>
        origin.Authority.Equals(host.Value, StringComparison.OrdinalIgnoreCase);

    private bool HasToken(HttpRequest request) =>
        request.Headers.Authorization is [{ } value]
        && value.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
        && CryptographicOperations.FixedTimeEquals(Hash(value[7..].Trim()), _tokenHash);

    // Hashes have equal lengths, so that the comparison does not reveal the length of the token.
    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));
}
