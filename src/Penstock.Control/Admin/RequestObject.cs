using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Penstock.Control.Admin;

/// <summary>The JSON object in a request's body.</summary>
internal static class RequestObject
{
    /// <param name="request">Its body is read to the end.</param>
    /// <param name="read">Gets the object, which is valid only during this call.</param>
    /// <returns>The error to answer if the body is not a JSON object; otherwise null.</returns>
    public static async Task<ApiError?> ReadAsync(HttpRequest request, Action<JsonElement> read)
    {
        try
        {
            using JsonDocument document = await JsonDocument.ParseAsync(request.Body);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                return new(400, $"the body must be a JSON object, not {Kind(document.RootElement)}");
            }

            read(document.RootElement);
            return null;
        }
        catch (BadHttpRequestException e)
        {
            return new(e.StatusCode, e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? $"the body is larger than {AdminServer.MaxBodyBytes} bytes" : e.Message);
        }
        catch (JsonException e)
        {
            bool isEmpty = (request.ContentLength ?? request.Headers.TransferEncoding.Count) == 0;
            return new(400, "the body is not valid JSON: "
                + (isEmpty ? "it is empty; send a JSON object" : e.Message));
        }
        catch (InvalidOperationException)
        {
            return new(400, "the body is not valid JSON: a text in it is not valid Unicode");
        }
    }

    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };
}
