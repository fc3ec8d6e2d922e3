using System.Text.Json;

namespace Penstock.Control.Admin;

/// <summary>JSON Lines: one client per line, each a JSON object with the members of <c>POST /clients</c>.</summary>
internal sealed class JsonRows : ClientRows
{
    protected override bool TryRead(int line, ReadOnlySpan<byte> row)
    {
        try
        {
            var root = JsonElement.Parse(row);
            if (root.ValueKind != JsonValueKind.Object)
            {
                Fault(line, $"must be a JSON object, not {RequestObject.Kind(root)}");
                return true;
            }
            var body = ClientBody.Of(root);
            Add(line, body.ClientId, body.Change, body.Faults);
        }
        catch (JsonException e)
        {
            Fault(line, $"is not valid JSON, from column {e.BytePositionInLine + 1}");
        }
        catch (InvalidOperationException)
        {
            Fault(line, "is not valid JSON: a text in it is not valid Unicode");
        }
        return true;
    }
}
