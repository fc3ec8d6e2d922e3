using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Penstock.Control.Admin;

/// <summary>Marks an endpoint whose resource has an ETag and that evaluates If-Match. Other resources have no ETag, so
/// If-Match with a tag is always false for them (RFC 9110 §13.1.1), and the request is rejected.</summary>
internal sealed class HasEntityTags
{
    /// <returns>The error to answer, or null if the request is allowed.</returns>
    public static ApiError? Check(HttpContext context)
    {
        StringValues ifMatch = context.Request.Headers.IfMatch;
        return ifMatch.Count == 0 || ifMatch == "*" || context.GetEndpoint() is not { } endpoint
            || endpoint.Metadata.GetMetadata<HasEntityTags>() is not null
            ? null : new(412, "this resource has no ETag, so it cannot match If-Match; leave If-Match out");
    }
}
