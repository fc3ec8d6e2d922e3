using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Penstock.TestKit;

/// <summary>Receives traces and metrics by OTLP over gRPC or HTTP, and keeps the parts that tests look at. The field
/// numbers are those of opentelemetry-proto 1.x (trace.proto, metrics.proto, common.proto).</summary>
public sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;

    private OtlpReceiver(WebApplication app) => _app = app;

    public ConcurrentQueue<OtlpSpan> Spans { get; } = new();

    /// <summary>The last value of each series: name and labels such as <c>penstock_requests{code=200,…}</c>; of a
    /// histogram its count.</summary>
    public ConcurrentDictionary<string, double> Metrics { get; } = new();

    public Uri Url => new(_app.Services.GetRequiredService<IServer>().Features
        .Get<IServerAddressesFeature>()!.Addresses.First());

    /// <param name="grpc">HTTP/2 without TLS, as collectors take gRPC; otherwise HTTP/1.1.</param>
    public static async Task<OtlpReceiver> StartAsync(bool grpc)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0,
            listen => listen.Protocols = grpc ? HttpProtocols.Http2 : HttpProtocols.Http1));
        var receiver = new OtlpReceiver(builder.Build());
        receiver._app.Run(receiver.AnswerAsync);
        await receiver._app.StartAsync();
        return receiver;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        bool isGrpc = context.Request.ContentType == "application/grpc";
        byte[] bytes = body.ToArray();
        var message = Message.Parse(isGrpc
            ? bytes.AsMemory(5, (int)BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(1))) : bytes);
        switch (context.Request.Path.Value)
        {
            case "/v1/traces" or "/opentelemetry.proto.collector.trace.v1.TraceService/Export":
                ReadSpans(message);
                break;
            case "/v1/metrics" or "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export":
                ReadMetrics(message);
                break;
            default:
                context.Response.StatusCode = 404;
                return;
        }
        context.Response.ContentType = isGrpc ? "application/grpc" : "application/x-protobuf";
        if (isGrpc)
        {
            await context.Response.Body.WriteAsync(new byte[5]); // an empty message
            context.Response.AppendTrailer("grpc-status", "0");
        }
    }

    private void ReadSpans(Message request)
    {
        foreach (Message resource in request.All(1))
        {
            string service = Attributes(resource.All(1).Single(), 1)["service.name"];
            foreach (Message span in resource.All(2).SelectMany(static scope => scope.All(2)))
            {
                Spans.Enqueue(new(service, Hex(span, 1), Hex(span, 2), Hex(span, 4), span.Text(5), (int)span.Number(6),
                    Attributes(span, 9)));
            }
        }

        static string Hex(Message span, int field) => Convert.ToHexStringLower(span.Bytes(field).Span);
    }

    private void ReadMetrics(Message request)
    {
        foreach (Message metric in request.All(1).SelectMany(static resource => resource.All(2))
            .SelectMany(static scope => scope.All(2)))
        {
            string name = metric.Text(1);
            foreach (Message point in metric.All(5).Concat(metric.All(7)).SelectMany(static data => data.All(1)))
            {
                Metrics[Series(name, Attributes(point, 7))] = point.Double(4);
            }
            foreach (Message point in metric.All(9).SelectMany(static data => data.All(1)))
            {
                Metrics[Series(name, Attributes(point, 9))] = point.Number(4);
            }
        }

        static string Series(string name, Dictionary<string, string> labels) =>
            $"{name}{{{string.Join(',', labels.OrderBy(static l => l.Key).Select(static l => $"{l.Key}={l.Value}"))}}}";
    }

    private static Dictionary<string, string> Attributes(Message of, int field)
    {
        var all = new Dictionary<string, string>();
        foreach (Message pair in of.All(field))
        {
            Message value = pair.All(2).Single();
            all[pair.Text(1)] = value.Has(3) ? $"{(long)value.Number(3)}" : value.Text(1);
        }
        return all;
    }

    /// <summary>A message of Protocol Buffers whose fields are known by their numbers only.</summary>
    private sealed class Message
    {
        private readonly List<(int Field, ulong Number, ReadOnlyMemory<byte> Bytes)> _fields = [];

        public static Message Parse(ReadOnlyMemory<byte> bytes)
        {
            var message = new Message();
            using var input = new CodedInputStream(bytes.ToArray());
            while (input.ReadTag() is > 0 and uint tag)
            {
                int field = WireFormat.GetTagFieldNumber(tag);
                message._fields.Add(WireFormat.GetTagWireType(tag) switch
                {
                    WireFormat.WireType.Varint => (field, input.ReadUInt64(), default),
                    WireFormat.WireType.Fixed64 => (field, input.ReadFixed64(), default),
                    WireFormat.WireType.Fixed32 => (field, input.ReadFixed32(), default),
                    _ => (field, 0, input.ReadBytes().Memory),
                });
            }
            return message;
        }

        public bool Has(int field) => _fields.Exists(f => f.Field == field);

        public ulong Number(int field) => _fields.Find(f => f.Field == field).Number;

        public double Double(int field) => BitConverter.UInt64BitsToDouble(Number(field));

        public ReadOnlyMemory<byte> Bytes(int field) => _fields.Find(f => f.Field == field).Bytes;

        public string Text(int field) => System.Text.Encoding.UTF8.GetString(Bytes(field).Span);

        public IEnumerable<Message> All(int field) =>
            _fields.Where(f => f.Field == field).Select(static f => Parse(f.Bytes));
    }
}

/// <param name="Kind">2: server, 3: client.</param>
public sealed record OtlpSpan(string Service, string TraceId, string SpanId, string ParentId, string Name, int Kind,
    IReadOnlyDictionary<string, string> Attributes);
