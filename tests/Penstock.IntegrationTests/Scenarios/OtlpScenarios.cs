using System.Net;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>The program sends traces and metrics to an OTLP receiver, as the standard variables say.</summary>
public sealed class OtlpScenarios : ProgramScenarios
{
    private const string Trace = "0af7651916cd43dd8448eb211c80319c";

    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task Receiver_gets_the_spans_of_client_and_backend_and_the_metrics(string protocol)
    {
        await using OtlpReceiver receiver = await OtlpReceiver.StartAsync(protocol == "grpc");
        await using var backend = ScriptedBackend.Always("ok");
        await using (PenstockProcess penstock = await StartAsync(backend, receiver.Url, protocol))
        {
            await SendAsync(3, $"traceparent: 00-{Trace}-b7ad6b7169203331-01\r\n");
            await SendAsync(4);
            penstock.Signal("TERM"); // a stop sends what is left
            Assert.Equal(0, await penstock.ExitCodeAsync());
        }

        Assert.Equal(14, receiver.Spans.Count);
        Assert.All(receiver.Spans, static span => Assert.Equal("penstock", span.Service));
        OtlpSpan[] continued = [.. receiver.Spans.Where(static s => s is { TraceId: Trace, Kind: 2 })];
        Assert.Equal(3, continued.Length);
        Assert.All(continued, exchange =>
        {
            Assert.Equal("b7ad6b7169203331", exchange.ParentId);
            OtlpSpan attempt = Assert.Single(receiver.Spans, s => s.ParentId == exchange.SpanId);
            Assert.Equal((Trace, 3, $"{backend.Port}"),
                (attempt.TraceId, attempt.Kind, attempt.Attributes["server.port"]));
            Assert.Contains(backend.Heads, head => head.Contains($"traceparent: 00-{Trace}-{attempt.SpanId}-01",
                StringComparison.Ordinal));
        });

        string requests = receiver.Metrics.Keys.Single(static name =>
            name.StartsWith("penstock_requests{", StringComparison.Ordinal));
        Assert.Contains("code=200", requests);
        Assert.Equal(7, receiver.Metrics[requests]);
        Assert.Equal(7, receiver.Metrics.Single(static m =>
            m.Key.StartsWith("penstock_request_duration{", StringComparison.Ordinal)).Value);
        Assert.Contains(receiver.Metrics, static m => m.Key.StartsWith("penstock_backend_up{", StringComparison.Ordinal)
            && m.Value == 1);
    }

    [Fact]
    public async Task Receiver_that_is_away_is_logged_and_holds_nothing_up()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync(
            backend, new Uri($"http://127.0.0.1:{PenstockProcess.FreePort()}"), "http/protobuf");

        await UntilAsync(() => penstock.Lines.Any(static line =>
            line.Contains("\"event\":\"otlp_failing\"", StringComparison.Ordinal)), "the failure is logged");
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    [Fact]
    public async Task Address_that_is_no_url_prevents_the_start()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var penstock = PenstockProcess.StartShell($"{Exports("collector:4317", "grpc")}; "
            + $"exec dotnet '{PenstockProcess.Program}' run --config '{FileFor(backend)}'");

        Assert.Equal(1, await penstock.ExitCodeAsync());
        await Eventually.TrueAsync(() => penstock.Lines.Any(static line => line.Contains(
            "OTEL_EXPORTER_OTLP_ENDPOINT: this is not a URL", StringComparison.Ordinal)), "the message says so");
    }

    private Task<PenstockProcess> StartAsync(ScriptedBackend backend, Uri receiver, string protocol) =>
        PenstockProcess.StartedBehindAsync(
            $"{Exports(receiver.ToString(), protocol)}; exec", Folder, "run", "--config", FileFor(backend));

    private static string Exports(string receiver, string protocol) =>
        $"export OTEL_EXPORTER_OTLP_ENDPOINT={receiver} OTEL_EXPORTER_OTLP_PROTOCOL={protocol} "
        + "OTEL_METRIC_EXPORT_INTERVAL=500 OTEL_BSP_SCHEDULE_DELAY=200";

    private string FileFor(ScriptedBackend backend)
    {
        string file = Path.Combine(Folder, "penstock.yaml");
        File.WriteAllText(file, $$"""
            listen: {{new IPEndPoint(IPAddress.Loopback, Port)}}
            admin: off
            store: memory
            backends: [127.0.0.1:{{backend.Port}}]
            """);
        return file;
    }
}
