using System.Text;
using System.Text.Json;

namespace Penstock.Control.Config;

/// <summary>Parses JSON to nodes; allows comments and trailing commas. JSON is nearly a subset of YAML, but is not
/// parsed as YAML, because a comment would silently become part of a value.</summary>
internal sealed class JsonTree
{
    private readonly SourceFile _file;
    private readonly byte[] _utf8;
    private readonly Variables? _variables;
    private (int Bytes, int Characters) _counted;

    private JsonTree(SourceFile file, Variables? variables)
    {
        _file = file;
        _utf8 = Encoding.UTF8.GetBytes(file.Text);
        _variables = variables;
    }

    /// <summary>Returns the root; null after reporting that the text is not valid JSON.</summary>
    /// <param name="variables">Null: texts have no variables.</param>
    public static ConfigNode? Read(SourceFile file, Report report, Variables? variables)
    {
        if (string.IsNullOrWhiteSpace(file.Text))
        {
            return new EmptyNode(file.Start);
        }

        var tree = new JsonTree(file, variables);
        var reader = new Utf8JsonReader(tree._utf8,
            new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        try
        {
            reader.Read();
            ConfigNode root = tree.Node(ref reader);
            reader.Read(); // throws if there is anything after the root
            return root;
        }
        catch (JsonException fault)
        {
            report.Error(tree.PlaceOf(fault), "", "not valid JSON: " + FirstSentence(fault.Message));
        }
        catch (InvalidOperationException) // a string with half a surrogate pair
        {
            report.Error(tree.PlaceOf(ref reader), "", "not valid JSON: the string is not valid Unicode");
        }
        return null;
    }

    private ConfigNode Node(ref Utf8JsonReader reader)
    {
        Location place = PlaceOf(ref reader);
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return Mapping(ref reader, place);
            case JsonTokenType.StartArray:
                var items = new List<ConfigNode>();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    items.Add(Node(ref reader));
                }

                return new SequenceNode(place, items);
            case JsonTokenType.Null:
                return new EmptyNode(place);
            case JsonTokenType.String:
                string text = reader.GetString()!;
                return _variables?.Fill(text, place) ?? new ScalarNode(place, text);
            default:
                return new ScalarNode(place, Encoding.UTF8.GetString(reader.ValueSpan));
        }
    }

    private MappingNode Mapping(ref Utf8JsonReader reader, Location place)
    {
        var entries = new List<ConfigEntry>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            (string key, Location keyPlace) = (reader.GetString()!, PlaceOf(ref reader));
            reader.Read();
            entries.Add(new(key, keyPlace, Node(ref reader)));
        }
        return new(place, entries);
    }

    private Location PlaceOf(ref Utf8JsonReader reader)
    {
        int quotes = reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName ? 2 : 0;
        return PlaceOf((int)reader.TokenStartIndex, reader.ValueSpan.Length + quotes);
    }

    private Location PlaceOf(JsonException fault)
    {
        int lineStart = 0;
        for (long line = fault.LineNumber ?? 0; line > 0; line--) // the parser counts line feeds only
        {
            lineStart += _utf8.AsSpan(lineStart).IndexOf((byte)'\n') + 1;
        }

        return PlaceOf((int)Math.Min(lineStart + (fault.BytePositionInLine ?? 0), _utf8.Length), 1);
    }

    private Location PlaceOf(int offset, int length)
    {
        // Places are nearly always requested in ascending order.
        (int Bytes, int Characters) from = offset < _counted.Bytes ? default : _counted;
        int start = from.Characters + Encoding.UTF8.GetCharCount(_utf8, from.Bytes, offset - from.Bytes);
        _counted = (offset, start);
        int inside = Encoding.UTF8.GetCharCount(_utf8, offset, Math.Min(length, _utf8.Length - offset));
        return _file.PlaceOf(start, inside);
    }

    // The rest is "LineNumber: … | BytePositionInLine: …".
    private static string FirstSentence(string message)
    {
        // A wrong literal is quoted with all that follows it, which may be a secret.
        int quoted = message.LastIndexOf("' is an invalid JSON literal", StringComparison.Ordinal);
        message = quoted < 0 ? message : "this" + message[(quoted + 1)..];
        int end = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return (end < 0 ? message : message[..end]).TrimEnd('.');
    }
}
