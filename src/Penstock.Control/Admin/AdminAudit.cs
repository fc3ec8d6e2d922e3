using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Penstock.Control.Config;
using Penstock.Control.Telemetry;

namespace Penstock.Control.Admin;

/// <summary>Writes one log line for each request that changes something or would have changed it: who, from where,
/// what, and the status of the answer. Requests whose caller is not known have their own lines, see
/// <see cref="FailedLogins"/>. A query is left out, because a caller may have put a token into it by mistake.</summary>
internal sealed class AdminAudit(ILogger log)
{
    private sealed record Change(string Text);

    /// <summary>Says what a request changed, for its line. It must not contain a secret.</summary>
    /// <param name="change">Empty: nothing.</param>
    public static void Note(HttpContext http, string change) => http.Features.Set(new Change(change));

    public async Task WatchAsync(HttpContext context, RequestDelegate next)
    {
        if (context.GetEndpoint() is null || Needs.RoleFor(context) != AdminRole.Admin)
        {
            await next(context);
            return;
        }
        int status = StatusCodes.Status500InternalServerError;
        try
        {
            await next(context);
            status = context.Response.StatusCode;
        }
        finally
        {
            Write(context, status);
        }
    }

    private void Write(HttpContext context, int status)
    {
        if (context.Features.Get<AdminCaller>() is not { } caller)
        {
            return;
        }
        string address = AdminCaller.AddressOf(context);
        (string method, string? path) = (context.Request.Method, context.Request.Path.Value);
        if (context.Features.Get<Change>() is { Text.Length: > 0 } change)
        {
            log.LogInformation(Events.AdminChange,
                "{Who} from {Address}: {Method} {Path} was answered {Status}; {Change}", caller.Name, address, method,
                path, status, change.Text);
        }
        else
        {
            log.LogInformation(Events.AdminChange, "{Who} from {Address}: {Method} {Path} was answered {Status}",
                caller.Name, address, method, path, status);
        }
    }
}
