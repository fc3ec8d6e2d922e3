using System.ComponentModel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.OpenApi;
using Penstock.Control.Simulation;
using Penstock.Control.Store;
using Penstock.Proxy;

namespace Penstock.Control.Admin;

/// <summary><c>POST /simulate</c>: what a limit would have done to the requests of an access log.</summary>
internal static class SimulationEndpoints
{
    /// <summary>The maximum size of a log.</summary>
    public const int MaxLogBytes = 64 * 1024 * 1024;

    /// <summary>The maximum number of requests in a log: bounds the time of one simulation to seconds, and its memory.
    /// </summary>
    public const int MaxRequests = 1_000_000;

    public const string PlainText = "text/plain";

    private const int ReadBytes = 64 * 1024;
    private const string Advice = "send a part of it, or use 'penstock simulate', which reads logs of any size";

    public static void MapSimulation(this IEndpointRouteBuilder app)
    {
        var turns = new OneAtATime("other simulations are running: try again later");
        app.MapPost("/simulate", async (
                HttpContext http,
                [Description("Tokens in a full bucket, 1 to 1000000000.")] string? capacity,
                [Description("How fast the bucket refills, such as `10/s`, `30/m` or `0.5/s`.")] string? rate,
                [Description("The member of a line that names the client. Default: `client`.")] string? key,
                [Description("`auto` (default), `json`, `common` or `combined`.")] string? format,
                [Description("The share of rejected requests for the smallest capacities, such as `1%`.")]
                string? target,
                [Description("How many clients to list at most, 1 to 1000; default 10.")] string? top) =>
            {
                var query = new SimulationQuery(capacity, rate, key, format, target, top);
                return query.Read(out List<FieldFault> faults) is { } settings
                    ? await turns.RunAsync(http, () => SimulateAsync(http, settings))
                    : ClientBody.Invalid(faults).ToResult();
            })
            .WithMetadata(Needs.Read).WithTags("Simulation")
            .Describe("simulate", "What would a limit have done to these requests?", "Replays an access log "
                + "(Penstock's own, or in the common or combined format; any `Content-Type`) with the times of the "
                + $"log and changes nothing. At most {MaxLogBytes >> 20} MiB and {MaxRequests} requests; "
                + "`penstock simulate` has no bound. `grid` tells what limits with other capacities and rates would "
                + "have done. If no line can be used, the error lists the first bad lines.")
            .AddOpenApiOperationTransformer((operation, _, _) =>
            {
                operation.SetTextBody(ClientFileEndpoints.JsonLines, PlainText);
                foreach (OpenApiParameter parameter in operation.Parameters?.OfType<OpenApiParameter>() ?? [])
                {
                    parameter.Required = parameter.Name is "capacity" or "rate";
                }
                return Task.CompletedTask;
            })
            .Produces<SimulationReport>().Errors(400, 413, 503);
    }

    private static async Task<IResult> SimulateAsync(HttpContext http, SimulationSettings settings)
    {
        var recorded = new RecordedRequests(MaxRequests);
        var simulation = new LimitSimulation(settings.Limit, settings.Parser) { Recorded = recorded };
        if (await ReadAsync(http, simulation) is { } error)
        {
            return error.ToResult();
        }

        if (simulation.Requests == 0)
        {
            return Unusable(simulation).ToResult();
        }

        // A thread of its own, because this takes seconds and the pool's threads also do the health checks.
        SimulationGrid grid = await Task.Factory.StartNew(
            () => ReplayGrid.Of(recorded.ByClient(), settings.Limit, settings.Target ?? 0, http.RequestAborted),
            http.RequestAborted, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        long? smallest = settings.Target is null ? null
            : grid.SmallestCapacity[grid.Rates.Index().First(r => r.Item.Equals(settings.Limit.RatePerSecond)).Index];
        return Results.Ok(SimulationReport.Of(simulation, settings, smallest) with
        {
            FirstBadLines = [.. simulation.Faults.Select(static bad => new BadLine(bad.Line, bad.Fault))],
            Grid = grid,
        });
    }

    /// <returns>The error to answer if the body is incomplete or too large.</returns>
    private static async Task<ApiError?> ReadAsync(HttpContext http, LimitSimulation simulation)
    {
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = MaxLogBytes;
        byte[] buffer = new byte[ReadBytes];
        try
        {
            for (int count; (count = await http.Request.Body.ReadAsync(buffer, http.RequestAborted)) > 0;)
            {
                simulation.Add(buffer.AsSpan(0, count));
                if (simulation.Recorded!.IsOver)
                {
                    return TooManyRequests();
                }
            }
        }
        catch (BadHttpRequestException e)
        {
            return new(e.StatusCode, e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? $"the log is larger than {MaxLogBytes} bytes: {Advice}" : e.Message);
        }

        simulation.End();
        return simulation.Recorded!.IsOver ? TooManyRequests() : null;
    }

    private static ApiError TooManyRequests() => new(413, $"the log has more than {MaxRequests} requests: {Advice}");

    private static ApiError Unusable(LimitSimulation simulation)
    {
        if (simulation.KeyFault is { } key)
        {
            return ClientBody.Invalid([new("key", key)]);
        }

        FieldFault[] faults =
            [.. simulation.Faults.Select(static bad => new FieldFault($"line {bad.Line}", bad.Fault))];
        long more = simulation.BadLines - faults.Length;
        string listed = string.Join("; ", faults.Select(static fault => $"{fault.Field} {fault.Message}"));
        return new(400, "the log contains no request that a limit applies to"
            + (faults.Length == 0 ? "" : ": " + listed)
            + (more == 0 ? "" : $"; and {Counted.Of(more, "more bad line")}"),
            faults.Length == 0 ? null : faults, more == 0 ? null : (int)more);
    }
}
