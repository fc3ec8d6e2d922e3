using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;
using Penstock.Control.Store;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

/// <summary>Completes the OpenAPI document with examples and general information. The document must not depend on the
/// address that serves it, because docs/openapi.json is a copy of it.</summary>
internal static partial class OpenApiDocument
{
    private const string Client =
        """{"client_id":"user1","capacity":100,"rate_per_sec":10,"current_tokens":87.5}""";

    private const string Plan =
        """{"name":"gold","capacity":1000,"rate_per_sec":50,"clients":12,"source":"api"}""";

    private static readonly Dictionary<Type, string> Examples = new()
    {
        [typeof(ClientView)] = Client,
        [typeof(ClientPage)] = $$"""{"items":[{{Client}}],"next_cursor":"dXNlcjE"}""",
        [typeof(PlanView)] = Plan,
        [typeof(PlanPage)] = $$"""{"items":[{{Plan}}]}""",
        [typeof(PlanPatch)] = """{"rate_per_sec":20}""",
        [typeof(Numbers)] = """{"capacity":1000,"rate_per_sec":50}""",
        [typeof(NewClient)] = """{"client_id":"user1","capacity":100,"rate_per_sec":10}""",
        [typeof(ClientSettings)] = """{"capacity":200,"rate_per_sec":20}""",
        [typeof(ClientPatch)] = """{"rate_per_sec":0.5}""",
        [typeof(ApiError)] = """
            {"code":400,"message":"capacity must be a number, not a text",
             "errors":[{"field":"capacity","message":"must be a number, not a text"}]}
            """,
        [typeof(Readiness)] = """{"status":"ready","checks":{"proxy":{"status":"ok"},"store":{"status":"ok"}}}""",
        [typeof(UpstreamStatus)] = """
            {"name":"web","balance":"round_robin","backends":[{"address":"127.0.0.1:9001","weight":1,"backup":false,
             "max_connections":0,"health":"down","cause":"connection refused (3 of 3 checks)",
             "changed_at":"2026-11-21T04:05:06+00:00","in_flight":0,"requests":120,"failures":3}]}
            """,
    };

    public static void AddPenstockOpenApi(this IServiceCollection services) => services.AddOpenApi("v1", options =>
    {
        options.AddSchemaTransformer((schema, context, _) =>
        {
            // Absent members keep their values, so there are no defaults. The framework omits the type of enums.
            schema.Default = null;
            if (context.JsonTypeInfo.Type.IsEnum)
            {
                schema.Type = JsonSchemaType.String;
            }

            if (Examples.TryGetValue(context.JsonTypeInfo.Type, out string? example))
            {
                schema.Examples = [JsonNode.Parse(example)!];
            }

            return Task.CompletedTask;
        });
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new()
            {
                Title = "Penstock admin API",
                Version = "1",
                Description = "Edits the limits of clients at runtime and reports the state of Penstock. Every error "
                    + "has a JSON body. If a token is configured, all paths except `/livez` and `/readyz` answer 401 "
                    + "without it.",
                License = new() { Name = "MIT", Identifier = "MIT" },
            };
            document.Servers = null;
            document.Components ??= new();
            document.AddComponent("token", (IOpenApiSecurityScheme)new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                Description = "The admin token, if one is configured.",
            });
            document.Security = [new() { [new("token", document)] = [] }, new()];
            foreach (IOpenApiSchema schema in document.Components.Schemas?.Values ?? [])
            {
                PutOnOneLine(schema);
            }
            return Task.CompletedTask;
        });
    });

    /// <summary>Descriptions come from doc comments too, with the line breaks of the source.</summary>
    private static void PutOnOneLine(IOpenApiSchema schema)
    {
        schema.Description = schema.Description is { } text ? WhiteSpace().Replace(text, " ") : null;
        foreach (IOpenApiSchema property in schema.Properties?.Values ?? [])
        {
            PutOnOneLine(property);
        }
    }

    [GeneratedRegex(@"\s+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex WhiteSpace();
}
