using Microsoft.AspNetCore.Http;
using Penstock.Control.Config;

namespace Penstock.Control.Admin;

/// <summary>Marks an endpoint with the role that its callers need. An endpoint without this mark needs <c>read</c> for
/// GET and <c>admin</c> for every other method, so that a new endpoint cannot be open by mistake.</summary>
/// <param name="Role">Null: everybody may call it.</param>
internal sealed record Needs(AdminRole? Role)
{
    /// <summary>The endpoint has no secret, for example the probes.</summary>
    public static readonly Needs Nothing = new((AdminRole?)null);

    /// <summary>The endpoint changes nothing, although its method is not GET.</summary>
    public static readonly Needs Read = new(AdminRole.Read);

    /// <summary>The folder of the page that shows the API; its files are not endpoints.</summary>
    public const string Page = "/docs";

    /// <param name="context">After routing.</param>
    public static AdminRole? RoleFor(HttpContext context)
    {
        Endpoint? endpoint = context.GetEndpoint();
        return endpoint is null && context.Request.Path.StartsWithSegments(Page, StringComparison.OrdinalIgnoreCase)
            ? null : RoleFor(endpoint?.Metadata ?? EndpointMetadataCollection.Empty, context.Request.Method);
    }

    public static AdminRole? RoleFor(IEnumerable<object> metadata, string method) =>
        metadata.OfType<Needs>().LastOrDefault() is { } needs ? needs.Role
            : HttpMethods.IsGet(method) ? AdminRole.Read : AdminRole.Admin;
}
