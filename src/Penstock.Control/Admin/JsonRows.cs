using System.Text.Json;

namespace Penstock.Control.Admin;

/// <summary>JSON Lines: one client per line, each a JSON object with the members of <c>POST /clients</c>.</summary>
internal sealed class JsonRows : ClientRows
{
    private const string OneInEachLine = "JSON Lines has one object in each line";

    /// <summary>No row was read yet, so the file may have another form.</summary>
    private bool _isFirst = true;

    protected override bool TryRead(int line, ReadOnlySpan<byte> row)
    {
        LookAtLong(line, row);
        return IsOtherForm || TryReadObject(line, row);
    }

    protected override void LookAtLong(int line, ReadOnlySpan<byte> start)
    {
        ReadOnlySpan<byte> text = start.Trim(" \t"u8);
        if (_isFirst && (text.StartsWith("["u8) || text.SequenceEqual("{"u8)))
        {
            OtherForm(line, $"is the beginning of one JSON document: {OneInEachLine}");
        }
        else if (_isFirst && !text.StartsWith("{"u8) && !IsJson(text))
        {
            OtherForm(line, $"is not JSON: {OneInEachLine}; if this is CSV, {SendAsCsv}");
        }

        _isFirst = false;
    }

    private static bool IsJson(ReadOnlySpan<byte> text)
    {
        var json = new Utf8JsonReader(text);
        try
        {
            return json.Read() && json.TrySkip() && !json.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private bool TryReadObject(int line, ReadOnlySpan<byte> row)
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
