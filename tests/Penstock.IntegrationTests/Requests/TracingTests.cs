using System.Collections.Concurrent;
using System.Diagnostics;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Spans of exchanges and attempts, and the trace context that client and backend see.</summary>
[Collection(nameof(TracingTests))]
public sealed class TracingTests : IDisposable
{
    private const string Trace = "0af7651916cd43dd8448eb211c80319c";
    private const string Context = $"traceparent: 00-{Trace}-b7ad6b7169203331-01\r\ntracestate: a=1\r\n";

    private readonly ConcurrentQueue<Activity> _ended = new();
    private readonly ActivityListener _listener;

    public TracingTests()
    {
        _listener = new()
        {
            ShouldListenTo = static source => source.Name == ProxyServer.TraceSource,
            Sample = static (ref ActivityCreationOptions<ActivityContext> options) =>
                options.Parent != default && !options.Parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded)
                    ? ActivitySamplingResult.PropagationData : ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _ended.Enqueue,
        };
    }

    public void Dispose() => _listener.Dispose();

    [Fact]
    public async Task Context_of_the_client_is_continued_to_the_backend()
    {
        ActivitySource.AddActivityListener(_listener);
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);

        Assert.Equal(200, (await proxy.GetAsync("/a?key=secret", Context)).Status);

        (Activity exchange, Activity[] attempts) = await SpansAsync(attempts: 1);
        Assert.Equal((Trace, "b7ad6b7169203331"),
            (exchange.TraceId.ToHexString(), exchange.ParentSpanId.ToHexString()));
        Assert.Equal((exchange.TraceId, exchange.SpanId), (attempts[0].TraceId, attempts[0].ParentSpanId));
        Assert.Equal((ActivityKind.Server, ActivityKind.Client), (exchange.Kind, attempts[0].Kind));
        string received = backend.Heads.Single();
        Assert.Contains($"traceparent: {attempts[0].Id}", received);
        Assert.Contains("tracestate: a=1\r\n", received);
        Assert.Single(received.Split("traceparent:")[1..]);
        Assert.Equal("GET /*", exchange.DisplayName);
        Assert.Equal("/a", exchange.GetTagItem("url.path"));
        Assert.DoesNotContain(exchange.TagObjects,
            static tag => $"{tag.Value}".Contains("secret", StringComparison.Ordinal));
        Assert.Equal(200, exchange.GetTagItem("http.response.status_code"));
        Assert.Equal(200, attempts[0].GetTagItem("http.response.status_code"));
        Assert.Equal(backend.Port, attempts[0].GetTagItem("server.port"));
        Assert.True(attempts[0].StartTimeUtc >= exchange.StartTimeUtc && exchange.Duration >= attempts[0].Duration);
    }

    [Fact]
    public async Task Each_attempt_has_a_span_with_its_failure()
    {
        ActivitySource.AddActivityListener(_listener);
        await using var good = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(PenstockProcess.FreePort(), good.Port);
        await using var proxy = new TestProxy(config);

        Assert.Equal(200, (await proxy.GetAsync()).Status);
        Assert.Equal(200, (await proxy.GetAsync()).Status);

        await Eventually.TrueAsync(() => _ended.Count(static a => a.Kind == ActivityKind.Client) == 3,
            "three attempts");
        Activity failed = _ended.Single(static a => a.Status == ActivityStatusCode.Error);
        Assert.Equal("connect_failed", failed.GetTagItem("error.type"));
        Activity second = _ended.Single(a => a.ParentSpanId == failed.ParentSpanId && a != failed);
        Assert.Equal(200, second.GetTagItem("http.response.status_code"));
        Assert.NotEqual(failed.SpanId, second.SpanId);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nBad Field\r\n\r\n", "upstream_invalid", 502)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "upstream_reset", 200)]
    public async Task Response_that_breaks_is_a_failure_of_both_spans(string response, string cause, int status)
    {
        ActivitySource.AddActivityListener(_listener);
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SendAsync(response);
        });
        await using var proxy = TestProxy.To(backend);

        await Record.ExceptionAsync(() => proxy.GetAsync());

        (Activity exchange, Activity[] attempts) = await SpansAsync(attempts: 1);
        Assert.Equal((cause, ActivityStatusCode.Error), (attempts[0].GetTagItem("error.type"), attempts[0].Status));
        Assert.Equal((cause, ActivityStatusCode.Error), (exchange.GetTagItem("error.type"), exchange.Status));
        Assert.Equal(status, exchange.GetTagItem("http.response.status_code"));
    }

    [Fact]
    public async Task Backend_that_cannot_be_reached_is_named_as_the_cause()
    {
        ActivitySource.AddActivityListener(_listener);
        await using var proxy = new TestProxy(TestProxy.Config(PenstockProcess.FreePort()));

        Assert.Equal(503, (await proxy.GetAsync("/", "traceparent: none\r\ntracestate: a=1\r\n")).Status);

        (Activity exchange, Activity[] attempts) = await SpansAsync(attempts: 1);
        Assert.Equal("connect_failed", attempts[0].GetTagItem("error.type"));
        Assert.Equal("connect_failed", exchange.GetTagItem("error.type"));
        Assert.Equal(default, exchange.ParentSpanId);
    }

    [Fact]
    public async Task Rejected_request_has_a_span_without_attempts()
    {
        ActivitySource.AddActivityListener(_listener);
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Limits = new Dictionary<string, LimitConfig> { ["default"] = new(1, 0.001) },
        });

        Assert.Equal(200, (await proxy.GetAsync()).Status);
        Assert.Equal(429, (await proxy.GetAsync()).Status);

        await Eventually.TrueAsync(() => _ended.Count == 3, "two exchanges and an attempt");
        Activity rejected = _ended.Single(static a => a.GetTagItem("http.response.status_code") is 429);
        Assert.Equal("rate_limited", rejected.GetTagItem("penstock.reason"));
        Assert.Equal(ActivityStatusCode.Unset, rejected.Status);
        Assert.Null(rejected.Parent);
        Assert.Equal(default, rejected.ParentSpanId);
    }

    [Fact]
    public async Task Trace_that_is_not_sampled_stays_so_for_the_backend()
    {
        ActivitySource.AddActivityListener(_listener);
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);

        await proxy.GetAsync("/", $"traceparent: 00-{Trace}-b7ad6b7169203331-00\r\n");

        Assert.Matches($"traceparent: 00-{Trace}-[0-9a-f]{{16}}-00", backend.Heads.Single());
    }

    [Fact]
    public async Task Context_passes_unchanged_where_nobody_traces()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);

        await proxy.GetAsync("/", Context);

        Assert.Contains(Context, backend.Heads.Single());
        Assert.Empty(_ended);
    }

    private async Task<(Activity Exchange, Activity[] Attempts)> SpansAsync(int attempts)
    {
        await Eventually.TrueAsync(() => _ended.Count == attempts + 1, "all spans have ended");
        return (_ended.Single(static a => a.Kind == ActivityKind.Server),
            [.. _ended.Where(static a => a.Kind == ActivityKind.Client)]);
    }
}

/// <summary>A listener hears every proxy of the process, so nothing else may run beside these tests.</summary>
[CollectionDefinition(nameof(TracingTests), DisableParallelization = true)]
public sealed class TracingGroup;
