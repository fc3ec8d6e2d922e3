using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Penstock.Proxy;

namespace Penstock.Control.Admin;

/// <summary>Who may use the admin API. With a token: who has it. Without: who reaches the loopback address, which a
/// page in the operator's browser can do as well; such a page is told by its Host (DNS rebinding) or Origin.</summary>
internal sealed class AdminGuard(string token, FailedLogins failed)
{
    private readonly byte[]? _tokenHash = token.Length == 0 ? null : Hash(token);

    /// <returns>What to answer instead, or null when the request may pass.</returns>
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
        // a page that got in by a rebound name cannot know the token, so a token makes any name good
        if (_tokenHash is null && context.Connection.LocalIpAddress is not null && !IsLocal(request.Host.Host))
        {
            return new(403, $"host '{request.Host.Host}' is not this machine: without an admin token use localhost "
                + "or an IP address");
        }
        if (!HttpMethods.IsGet(request.Method) && request.Headers.Origin is [{ } origin]
            && !(Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) && IsSame(uri, request.Host)))
        {
            return new(403, $"requests from pages of {origin} are rejected");
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
        return new(401, "this needs the admin token: Authorization: Bearer <token>");
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

    // hashed so that lengths are equal, too
    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));
}
