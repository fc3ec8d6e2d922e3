using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Penstock.Control.Admin;

/// <summary>Marks an endpoint whose resource has an ETag and that heeds If-Match. The others have none, so what
/// If-Match says is never so (RFC 9110 §13.1.1): a caller who relies on it must hear of that.</summary>
internal sealed class HasEntityTags
{
    /// <returns>What to answer instead, or null when the request may pass.</returns>
    public static ApiError? Check(HttpContext context)
    {
        StringValues ifMatch = context.Request.Headers.IfMatch;
        return ifMatch.Count == 0 || ifMatch == "*" || context.GetEndpoint() is not { } endpoint
            || endpoint.Metadata.GetMetadata<HasEntityTags>() is not null
            ? null : new(412, "this has no ETag, so it cannot be what If-Match says; leave If-Match out");
    }
}
