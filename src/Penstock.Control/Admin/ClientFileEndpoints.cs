using System.ComponentModel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Net.Http.Headers;
using Penstock.Control.Store;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary><c>GET /clients/export</c> and <c>POST /clients/import</c>: all clients as one file, JSON Lines or
/// CSV.</summary>
internal static class ClientFileEndpoints
{
    /// <summary>The maximum size of an import: about a million clients. They are all in memory, because all are checked
    /// before the first is changed.</summary>
    public const int MaxImportBytes = 64 * 1024 * 1024;

    public const string JsonLines = "application/x-ndjson";
    public const string Csv = "text/csv";

    private const int ReadBytes = 64 * 1024;

    /// <summary>How many clients an export reads and sends at a time.</summary>
    private const int PageSize = 1000;

    public static void MapFiles(this RouteGroupBuilder clients, ClientDirectory directory)
    {
        var turns = new OneAtATime("other imports are running: try again later");
        clients.MapGet("/export", (
                HttpContext http,
                [Description("`jsonl` or `csv`. Default: the type that `Accept` prefers; `jsonl` if it prefers none.")]
                string? format) => Export(http, directory, format))
            .Describe("exportClients", "Export all clients as one file", "One client per line, ordered by id, as JSON "
                + "objects or as CSV with a header line. The file is written while it is sent, so it may or may not "
                + "contain edits made during that time. If the store fails, Penstock closes the connection before the "
                + "end of the body.")
            .Produces<string>(200, JsonLines, Csv).Errors(400, 503);

        clients.MapPost("/import", async (
                HttpContext http,
                [Description("`upsert` (default): creates or changes clients; existing clients keep their tokens "
                    + "unless `current_tokens` is given. `create`: 409 if one of the clients exists.")]
                string? mode,
                [FromQuery(Name = "dry_run"), Description("`true`: changes nothing, only reports what would change.")]
                string? dryRun) => await ImportAsync(http, directory, turns, mode ?? "upsert", dryRun ?? "false"))
            .Describe("importClients", "Create or change many clients", "Changes all of them or, if there is any "
                + "fault, none. One client per line: JSON objects, or CSV with a header line, with the members of "
                + $"`POST /clients`; at most {MaxImportBytes >> 20} MiB. The error lists the first "
                + $"{ClientRows.MaxFaults} faults with their lines.")
            .AddOpenApiOperationTransformer((operation, _, _) =>
            {
                operation.SetTextBody(JsonLines, Csv);
                return Task.CompletedTask;
            })
            .Produces<ImportReport>().Errors(400, 409, 413, 415, 503);
    }

    private static IResult Export(HttpContext http, ClientDirectory directory, string? format)
    {
        if (format is not (null or "jsonl" or "csv"))
        {
            return ClientBody.Invalid([new("format", "must be jsonl or csv")]).ToResult();
        }

        bool csv = format == "csv" || (format is null && LikesCsv(http.Request));

        // Read the first page before sending the status, so that a failing store can still be reported.
        if (!directory.TryRead("", PageSize, out List<ClientState>? clients, out string? next))
        {
            return ClientEndpoints.StoreFailed(directory.StoreFault ?? "");
        }

        http.Response.Headers.Vary = "Accept";
        return Results.Stream(async body =>
        {
            using var page = new ClientFileWriter(csv);
            while (true)
            {
                page.Write(clients);
                await body.WriteAsync(page.Written, http.RequestAborted);
                page.Clear();
                if (next is null)
                {
                    return;
                }

                if (!directory.TryRead(next, PageSize, out clients, out next))
                {
                    http.Abort(); // the body has no end, so the caller sees that it is incomplete
                    return;
                }
            }
        }, csv ? $"{Csv}; charset=utf-8" : JsonLines, csv ? "clients.csv" : "clients.jsonl");
    }

    private static bool LikesCsv(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out IList<MediaTypeHeaderValue>? accepted))
        {
            return false;
        }

        double Quality(string type) => accepted
            .Where(range => new MediaTypeHeaderValue(type).IsSubsetOf(Bare(range)))
            .OrderBy(static range => (range.MatchesAllTypes, range.MatchesAllSubTypes))
            .Select(static range => range.Quality ?? 1).FirstOrDefault();
        return Quality(Csv) > Quality(JsonLines);
    }

    // Parameters (a charset) do not matter for the choice.
    private static MediaTypeHeaderValue Bare(MediaTypeHeaderValue range) => new(range.MediaType);

    private static async Task<IResult> ImportAsync(
        HttpContext http, ClientDirectory directory, OneAtATime turns, string mode, string dryRun)
    {
        var parameters = new List<FieldFault>();
        if (mode is not ("upsert" or "create"))
        {
            parameters.Add(new("mode", "must be upsert or create"));
        }

        if (dryRun is not ("true" or "false"))
        {
            parameters.Add(new("dry_run", "must be true or false"));
        }

        if (parameters.Count > 0)
        {
            return ClientBody.Invalid(parameters).ToResult();
        }

        if (RowsOf(http.Request) is not { } rows)
        {
            return new ApiError(415,
                $"send the clients as Content-Type: {JsonLines} or {Csv}, in UTF-8").ToResult();
        }
        return await turns.RunAsync(http, () => ImportAsync(http, directory, rows, mode, dryRun));
    }

    private static async Task<IResult> ImportAsync(
        HttpContext http, ClientDirectory directory, ClientRows rows, string mode, string dryRun)
    {
        if (await ReadAsync(http, rows) is { } error)
        {
            return error.ToResult();
        }

        if (rows.FaultCount > 0)
        {
            return Rejected(400, rows).ToResult();
        }

        ImportResult result = directory.Import(rows.Clients, mode == "create", dryRun == "true");
        if (result.Done)
        {
            (int created, int updated, int unchanged) = result.Counts;
            AdminAudit.Note(http, (dryRun == "true" ? "a dry run, " : "")
                + $"{created} created, {updated} updated, {unchanged} unchanged");
            ProxyConfig config = http.RequestServices.GetRequiredService<ProxyServer>().Config;
            string[] warnings = rows.Clients.SelectMany(client => ClientId.Warnings(client.ClientId, config) ?? [])
                .CountBy(static warning => warning)
                .Select(static w => $"{w.Value} of these clients: {w.Key}").ToArray();
            return Results.Ok(new ImportReport(created, updated, unchanged,
                warnings.Length == 0 ? null : warnings));
        }
        if (result.Faults is { } unfit)
        {
            foreach ((int place, FieldFault? fault) in unfit)
            {
                rows.Fault(rows.Lines[place], $"{fault.Field} {fault.Message}");
            }

            return Rejected(400, rows).ToResult();
        }
        if (result.Existing is null)
        {
            return ClientEndpoints.StoreFailed(result.Cause);
        }

        foreach (int place in result.Existing)
        {
            rows.Fault(rows.Lines[place], $"client '{rows.Clients[place].ClientId}' exists already");
        }

        return Rejected(409, rows).ToResult();
    }

    private static ClientRows? RowsOf(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type))
        {
            return null;
        }

        if (type.Charset.HasValue && !type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase)
            && !type.Charset.Equals("us-ascii", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }
        return type.MediaType.Value?.ToLowerInvariant() switch
        {
            Csv => new CsvRows(),
            JsonLines or "application/ndjson" or "application/jsonl" => new JsonRows(),
            _ => null,
        };
    }

    /// <returns>The error to answer if the body is incomplete or too large.</returns>
    private static async Task<ApiError?> ReadAsync(HttpContext http, ClientRows rows)
    {
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = MaxImportBytes;
        byte[] buffer = new byte[ReadBytes];
        try
        {
            (int count, bool last) = (0, false);
            while (!last)
            {
                int read = await http.Request.Body.ReadAsync(buffer.AsMemory(count), http.RequestAborted);
                last = read == 0;
                count += read;
                int taken = rows.Read(buffer.AsSpan(0, count), last);
                buffer.AsSpan(taken, count - taken).CopyTo(buffer);
                count -= taken;
            }
            return null;
        }
        catch (BadHttpRequestException e)
        {
            return new(e.StatusCode, e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? $"the body is larger than {MaxImportBytes} bytes: import it in parts" : e.Message);
        }
    }

    private static ApiError Rejected(int status, ClientRows rows)
    {
        int more = rows.FaultCount - rows.Faults.Count;
        return new(status, $"nothing was imported, {Counted.Of(rows.FaultCount, "fault")}: "
            + string.Join("; ", rows.Faults.Select(static fault => $"{fault.Field}: {fault.Message}"))
            + (more == 0 ? "" : $"; and {more} more"), rows.Faults, more == 0 ? null : more);
    }
}
