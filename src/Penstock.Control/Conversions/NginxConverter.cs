namespace Penstock.Control.Conversions;

/// <summary>Converts <c>upstream</c>, <c>server</c>, <c>location</c>, <c>limit_req</c> and <c>limit_conn</c> of nginx.
/// Follows https://nginx.org/en/docs/http/ (ngx_http_upstream_module, ngx_http_limit_req_module and others).</summary>
internal static class NginxConverter
{
    /// <param name="fault">Where and why the text is not a file of nginx.</param>
    public static void Convert(string text, Conversion conversion, out (int Line, string Why)? fault)
    {
        IReadOnlyList<NginxDirective> root = NginxFile.Parse(text, out fault);
        if (fault is null)
        {
            Convert(root, conversion);
        }
    }

    private static void Convert(IReadOnlyList<NginxDirective> root, Conversion conversion)
    {
        var upstreams = new NginxUpstreams(conversion);
        var limits = new NginxLimits(conversion);
        var settings = new NginxSettings(conversion);
        List<NginxDirective> all = [.. root.SelectMany(static directive =>
            directive is { Name: "http", Block: { } block } ? block : [directive])];
        foreach (NginxDirective upstream in all.Where(static d => d is { Name: "upstream", Block: not null }))
        {
            upstreams.Add(upstream);
        }
        foreach (NginxDirective zone in all.Where(static d => d.Name is "limit_req_zone" or "limit_conn_zone"))
        {
            limits.AddZone(zone);
        }
        var scope = new NginxLimits.Scope();
        bool hasCertificate = NginxServers.CertificatesOf(all).Count > 0;
        foreach (NginxDirective directive in all.Where(static d =>
            d is not ({ Name: "upstream" or "server", Block: not null } or { Name: "limit_req_zone"
                or "limit_conn_zone" or "proxy_set_header" })))
        {
            if (!(hasCertificate && directive.Name is "ssl_certificate" or "ssl_certificate_key")
                && !limits.TryUse(directive, ref scope))
            {
                settings.Add(directive);
            }
        }
        new NginxServers(conversion, settings, limits, new(conversion, settings, upstreams, limits)).Add(all, scope);
        conversion.FinishRedirects();
        upstreams.Finish();
    }
}
