using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Penstock.Control.Config;
using Penstock.Proxy;

namespace Penstock.Control.Admin;

/// <summary>Decides who may use the admin API. With tokens: every caller that has one, as far as its role allows.
/// Without tokens: every caller that reaches the loopback address or the Unix socket. A web page in the operator's
/// browser can also reach the loopback address; it is recognised by its Host (DNS rebinding) or Origin and rejected.
/// </summary>
internal sealed class AdminGuard(AdminTokens tokens, FailedLogins failed)
{
    private const string Scheme = "Bearer ";

    /// <returns>The error to answer, or null if the request is allowed.</returns>
    public async ValueTask<ApiError?> CheckAsync(HttpContext context)
    {
        if (Needs.RoleFor(context) is not { } role)
        {
            return null;
        }
        HttpRequest request = context.Request;
        AdminCaller? caller = AdminCaller.WithoutToken(context);
        if (tokens.Exist)
        {
            // Any host name is accepted: a page that uses DNS rebinding cannot know the token.
            (caller, ApiError? error) = await CheckTokenAsync(context);
            if (caller is null)
            {
                return error;
            }
        }
        else if (context.Connection.LocalIpAddress is not null && !IsLocal(request.Host.Host))
        {
            return new(403, $"host '{request.Host.Host}' is rejected: without an admin token use localhost or an IP "
                + "address");
        }
        if (!HttpMethods.IsGet(request.Method)
            && request.Headers.Origin.FirstOrDefault(origin => !IsSame(origin, request.Host)) is { } origin)
        {
            return new(403, $"requests from web pages of {origin} are rejected");
        }
        context.Features.Set(caller);
        return caller.Role >= role ? null
            : new(403, $"this request needs a token with the role '{Word(role)}'; the token '{caller.Name}' has the "
                + $"role '{Word(caller.Role)}'");
    }

    public static string Word(AdminRole role) => role == AdminRole.Admin ? "admin" : "read";

    private async ValueTask<(AdminCaller? Caller, ApiError? Error)> CheckTokenAsync(HttpContext context)
    {
        string address = AdminCaller.AddressOf(context);
        bool given = context.Request.Headers.Authorization.Count > 0;
        if (given && failed.IsBusy(address))
        {
            return (null, TooMany(context));
        }

        if (CallerOf(context.Request) is { } caller)
        {
            return (caller, null);
        }

        failed.Note(address, given ? "wrong token" : "no token");
        if (given && !await failed.WaitAsync(address))
        {
            return (null, TooMany(context));
        }

        context.Response.Headers.WWWAuthenticate = "Bearer realm=\"penstock\"";
        return (null, new(401, MessageFor(context.Request.Headers.Authorization)));
    }

    /// <summary>Says what is wrong without the value, which may be a token in a wrong form.</summary>
    private static string MessageFor(StringValues fields) => fields switch
    {
        [] => "this request needs an admin token: Authorization: Bearer <token>",
        [{ } value] when value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) => "the token was not accepted",
        [_] => "the Authorization field does not have the scheme Bearer: write Authorization: Bearer <token>",
        _ => "there is more than one Authorization field: write one, Authorization: Bearer <token>",
    };

    private static ApiError TooMany(HttpContext context)
    {
        context.Response.Headers.RetryAfter = "1";
        return new(429, "too many wrong tokens from this address at the same time");
    }

    private static bool IsLocal(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || AddressText.TryParse(host.AsSpan().Trim("[]"), out _);

    private static bool IsSame(string? origin, HostString host) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri)
        && uri.Authority.Equals(host.Value, StringComparison.OrdinalIgnoreCase);

    private AdminCaller? CallerOf(HttpRequest request) =>
        request.Headers.Authorization is [{ } value] && value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            ? tokens.Find(value[Scheme.Length..].Trim()) : null;
}
