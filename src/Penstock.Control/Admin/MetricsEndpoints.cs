using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Telemetry.Metrics;

namespace Penstock.Control.Admin;

/// <summary><c>/metrics</c>: figures for Prometheus.</summary>
internal static class MetricsEndpoints
{
    private const string PrometheusText = "text/plain; version=0.0.4; charset=utf-8";
    private const string OpenMetricsText = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    public static void MapMetrics(this IEndpointRouteBuilder app, AdminSubjects subjects) =>
        app.MapGet("/metrics", (HttpRequest request) =>
            {
                bool openMetrics = request.Headers.Accept
                    .Any(static accept => accept?.Contains("application/openmetrics-text") == true);
                var reading = new MetricReading(
                    subjects.Proxy, subjects.Directory, subjects.Member, subjects.Reloader);
                return Results.Stream(body => MetricsText.WriteAsync(body, reading, openMetrics),
                    openMetrics ? OpenMetricsText : PrometheusText);
            })
            .WithTags("Metrics").WithName("getMetrics").WithSummary("Get the metrics for Prometheus")
            .WithDescription("In the Prometheus text format, or as OpenMetrics text if the request accepts that. "
                + "docs/metrics.md lists them.")
            .Produces<string>(200, "text/plain");
}
