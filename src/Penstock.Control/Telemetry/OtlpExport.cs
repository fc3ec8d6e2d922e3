using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Penstock.Control.Telemetry.Metrics;
using Penstock.Proxy;

namespace Penstock.Control.Telemetry;

/// <summary>Sends traces and metrics over OTLP, as the standard variables of OpenTelemetry say. It is off, and costs
/// nothing, unless an endpoint is set.</summary>
internal sealed class OtlpExport : IDisposable
{
    private const int FlushMs = 2000;

    /// <summary>How long a stop waits for the last exports.</summary>
    private static readonly TimeSpan MaxStop = TimeSpan.FromSeconds(4);

    private readonly TracerProvider? _traces;
    private readonly MeterProvider? _metrics;
    private readonly OtlpMeter? _meter;
    private readonly OtlpFaults _faults;

    private OtlpExport(bool traces, OtlpMeter? meter, OtlpFaults faults)
    {
        (_meter, _faults) = (meter, faults);
        _traces = !traces ? null : Sdk.CreateTracerProviderBuilder()
            .ConfigureResource(Describe).AddSource(ProxyServer.TraceSource).AddOtlpExporter().Build();
        _metrics = meter is null ? null : Sdk.CreateMeterProviderBuilder()
            .ConfigureResource(Describe).AddMeter(OtlpMeter.Name).AddOtlpExporter().Build();
    }

    /// <summary>Null: nothing is to be sent.</summary>
    /// <exception cref="StartException">A variable is invalid.</exception>
    public static OtlpExport? Start(Func<MetricReading> read, TimeProvider time, ILogger log)
    {
        bool isDisabled = Variable("OTEL_SDK_DISABLED").Equals("true", StringComparison.OrdinalIgnoreCase);
        bool traces = !isDisabled && IsOn("TRACES");
        bool metrics = !isDisabled && IsOn("METRICS");
        if (!traces && !metrics)
        {
            return null;
        }
        OtlpMeter? meter = metrics ? new OtlpMeter(read, time) : null;
        var faults = new OtlpFaults(time, log);
        try
        {
            return new(traces, meter, faults);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or NotSupportedException
            or InvalidOperationException)
        {
            meter?.Dispose();
            faults.Dispose();
            throw new StartException($"OpenTelemetry does not accept the variables OTEL_*: {e.Message}", e);
        }
    }

    /// <summary>Sends what is left, within <see cref="MaxStop"/>.</summary>
    public async Task StopAsync(CancellationToken hardStop)
    {
        try
        {
            // A receiver that is silent can hold the library up for longer than it was asked to wait.
            await Task.Run(Dispose, CancellationToken.None).WaitAsync(MaxStop, hardStop);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            // What is left is lost; the process ends.
        }
    }

    public void Dispose()
    {
        _traces?.ForceFlush(FlushMs);
        _traces?.Dispose();
        _metrics?.ForceFlush(FlushMs);
        _metrics?.Dispose();
        _meter?.Dispose();
        _faults.Dispose();
    }

    private static bool IsOn(string signal)
    {
        string name = $"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT";
        if (Variable(name).Length == 0)
        {
            name = "OTEL_EXPORTER_OTLP_ENDPOINT";
        }
        string exporter = Variable($"OTEL_{signal}_EXPORTER");
        if (exporter is not ("" or "otlp" or "none"))
        {
            throw new StartException($"OTEL_{signal}_EXPORTER: '{exporter}' is not supported; write otlp or none");
        }
        if (Variable(name) is not { Length: > 0 } url || exporter == "none")
        {
            return false;
        }
        return Uri.TryCreate(url, UriKind.Absolute, out Uri? parsed) && parsed.Scheme is "http" or "https" ? true
            : throw new StartException($"{name}: this is not a URL; write one such as http://collector:4317");
    }

    /// <summary>Names the service, unless the operator does.</summary>
    private static void Describe(ResourceBuilder resource)
    {
        if (Variable("OTEL_SERVICE_NAME").Length == 0
            && !Variable("OTEL_RESOURCE_ATTRIBUTES").Contains("service.name=", StringComparison.Ordinal))
        {
            resource.AddService("penstock");
        }
        resource.AddAttributes([new("service.version", ProductVersion.Short)]);
    }

    private static string Variable(string name) => Environment.GetEnvironmentVariable(name)?.Trim() ?? "";
}
