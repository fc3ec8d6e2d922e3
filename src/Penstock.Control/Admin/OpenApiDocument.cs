using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;
using Penstock.Control.Config;

namespace Penstock.Control.Admin;

/// <summary>Completes the OpenAPI document with examples and general information. The document must not depend on the
/// address that serves it, because docs/openapi.json is a copy of it.</summary>
internal static partial class OpenApiDocument
{
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

            if (context.JsonTypeInfo.Type == typeof(ApiError))
            {
                schema.Examples = [JsonNode.Parse(OpenApiExamples.Error)!];
            }

            return Task.CompletedTask;
        });
        options.AddOperationTransformer((operation, context, _) =>
        {
            string method = context.Description.HttpMethod!;
            AddAccess(operation, context, Needs.RoleFor(context.Description.ActionDescriptor.EndpointMetadata, method));
            return Task.CompletedTask;
        });
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new()
            {
                Title = "Penstock admin API",
                Version = "1",
                Description = "Edits the limits of clients at runtime and reports the state of Penstock. Every error "
                    + "has a JSON body. If tokens are configured, all operations with a role need one; a token with "
                    + "the role `admin` may do everything.",
                License = new() { Name = "MIT", Identifier = "MIT" },
            };
            document.Servers = null;
            document.Components ??= new();
            document.AddComponent("token", (IOpenApiSecurityScheme)new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                Description = "A token of `admin.token` or `admin.tokens`, if there are any.",
            });
            document.Security = [new() { [new("token", document)] = [] }, new()];
            foreach (OpenApiOperation operation in document.Paths.Values.SelectMany(static path =>
                path.Operations?.Values ?? Enumerable.Empty<OpenApiOperation>()))
            {
                OpenApiExamples.AddTo(operation); // last, because endpoints may have their own transformers
            }
            foreach (IOpenApiSchema schema in document.Components.Schemas?.Values ?? [])
            {
                PutOnOneLine(schema);
            }
            return Task.CompletedTask;
        });
    });

    /// <summary>Describes a body that is a text of one of these types. The endpoint reads it itself: Accepts would
    /// reject other types with an error that cannot name these.</summary>
    public static void SetTextBody(this OpenApiOperation operation, params string[] types) =>
        operation.RequestBody = new OpenApiRequestBody
        {
            Required = true,
            Content = types.ToDictionary(static type => type, static _ => new OpenApiMediaType
            {
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            }),
        };

    /// <summary>Shows the role that an operation needs, and the answers of the guard.</summary>
    private static void AddAccess(
        OpenApiOperation operation, OpenApiOperationTransformerContext context, AdminRole? role)
    {
        if (role is not { } needed)
        {
            operation.Security = [];
            return;
        }
        operation.Description += $" Role: `{AdminGuard.Word(needed)}`.";
        foreach (int status in (ReadOnlySpan<int>)[401, 403, 429])
        {
            operation.Responses!.TryAdd($"{status}", new OpenApiResponse
            {
                Description = ReasonPhrases.GetReasonPhrase(status),
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] = new()
                    {
                        Schema = new OpenApiSchemaReference(nameof(ApiError), context.Document),
                    },
                },
            });
        }
    }

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
