using Penstock.Proxy;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Penstock.Control.Config;

/// <summary>Parses YAML to nodes. Uses parser events instead of YamlDotNet's tree, which stops at the first duplicate
/// key; all duplicates are to be reported.</summary>
internal sealed class YamlTree
{
    private const int MaxDepth = 32;
    private const string MergeKey = "<<";

    /// <summary>How many entries merge keys may add in one file; nested merges can multiply entries.</summary>
    private const int MaxMerged = 100_000;

    private readonly SourceFile _file;
    private readonly Scanner _scanner;
    private readonly Parser _parser;
    private readonly Report _report;
    private readonly Variables? _variables;
    private readonly Dictionary<string, ConfigNode> _anchors = [];
    private int _merged;
    private Location? _open; // the innermost bracket that is still open

    private YamlTree(SourceFile file, Report report, Variables? variables)
    {
        _file = file;
        _scanner = new Scanner(new StringReader(file.Text));
        _parser = new Parser(_scanner);
        _report = report;
        _variables = variables;
    }

    /// <summary>Returns the root; null after reporting that the text is not valid YAML.</summary>
    /// <param name="variables">Null: texts have no variables.</param>
    public static ConfigNode? Read(SourceFile file, Report report, Variables? variables)
    {
        if (ReportTabs(file, report))
        {
            return null;
        }

        var tree = new YamlTree(file, report, variables);
        try
        {
            return tree.Document();
        }
        catch (YamlException fault)
        {
            tree.ReportSyntax(tree.PlaceOf(fault.Start, fault.End), fault.Message);
        }
        // YamlDotNet throws these for a key on a new line within open brackets, for a tag that is not a URI, and for an
        // anchor without a name.
        catch (Exception fault) when (fault is InvalidOperationException or ArgumentException)
        {
            Mark position = tree._scanner.CurrentPosition;
            tree.ReportSyntax(tree.PlaceOf(position, position), fault is ArgumentException
                ? "this tag or anchor is not valid; write a plain value" : "a key is not allowed here");
        }
        return null;
    }

    private void ReportSyntax(Location place, string message)
    {
        IReadOnlyList<string> lines = _file.Lines;
        if (place.Line > lines.Count) // the end of a file without a final newline
        {
            place = new(_file, lines.Count, lines[^1].Length + 1, 1);
        }
        else if (place.Column > lines[place.Line - 1].Length) // the scanner is already behind the faulty text
        {
            place = new(_file, place.Line, lines[place.Line - 1].Length + 1, 1);
        }

        string? hint = new YamlMistake(lines, place, message, _open).Hint();
        string sentence = message.Length == 0 ? "" : char.ToLowerInvariant(message[0]) + message[1..].TrimEnd('.');
        _report.Error(place, "", "not valid YAML: " + sentence, hint);
    }

    // YamlDotNet would report a tab as a syntax error at 1:1, which does not help the operator.
    private static bool ReportTabs(SourceFile file, Report report)
    {
        var tabbed = file.Lines.Index().Where(line => IsIndentedByTab(line.Item)).ToList();
        if (tabbed.Count == 0)
        {
            return false;
        }

        (int index, string? text) = tabbed[0];
        string also = tabbed.Count == 1 ? "" : $" (and {Counted.Of(tabbed.Count - 1, "more such line")})";
        report.Error(new(file, index + 1, text.IndexOf('\t') + 1, 1), "", "a tab is used for indentation" + also,
            "YAML indents with spaces");
        return true;
    }

    private static bool IsIndentedByTab(string line)
    {
        ReadOnlySpan<char> content = line.AsSpan().TrimStart();
        return content.Length > 0 && content[0] != '#' && line.AsSpan(0, line.Length - content.Length).Contains('\t');
    }

    private ConfigNode Document()
    {
        _parser.Consume<StreamStart>();
        if (_parser.Accept<StreamEnd>(out _))
        {
            return new EmptyNode(_file.Start);
        }

        _parser.Consume<DocumentStart>();
        ConfigNode root = Node(depth: 1);
        _parser.Consume<DocumentEnd>();
        if (_parser.Accept<DocumentStart>(out DocumentStart? second))
        {
            _report.Error(PlaceOf(second.Start, second.End), "", "a second document begins here",
                "a configuration is one YAML document");
        }

        return root;
    }

    private ConfigNode Node(int depth)
    {
        if (depth > MaxDepth)
        {
            throw Fault(_parser.Current!, $"nested deeper than {MaxDepth} levels");
        }

        if (_parser.TryConsume<AnchorAlias>(out AnchorAlias? alias))
        {
            return _anchors.TryGetValue(alias.Value.Value, out ConfigNode? named) ? named
                : throw Fault(alias, $"there is no anchor '&{alias.Value}' before this alias");
        }

        NodeEvent start =
            _parser.Accept<NodeEvent>(out NodeEvent? node) ? node : throw Fault(_parser.Current!, "expected a value");
        Location? outer = _open;
        if (start is MappingStart { Style: MappingStyle.Flow } or SequenceStart { Style: SequenceStyle.Flow })
        {
            _open = PlaceOf(start.Start, start.End);
        }

        ConfigNode result = start switch
        {
            MappingStart mapping => Mapping(mapping, depth),
            SequenceStart sequence => Sequence(sequence, depth),
            _ => Value((Scalar)start),
        };
        _open = outer; // before the next token, because this bracket is closed now
        _parser.MoveNext();
        if (!start.Anchor.IsEmpty)
        {
            _anchors[start.Anchor.Value] = result;
        }

        return result;
    }

    private ConfigNode Value(Scalar scalar)
    {
        Location place = PlaceOf(scalar.Start, scalar.End);
        if (scalar is { Style: ScalarStyle.Plain, Value: "" } && !(scalar.Anchor.IsEmpty && scalar.Tag.IsEmpty))
        {
            string sign = scalar.Tag.IsEmpty ? "&" : "!";
            _report.Error(place, "", $"a text that begins with {sign} is {(sign == "!" ? "a tag" : "an anchor")} "
                + "in YAML, and no value", $"put quotes around a value that begins with {sign}");
            return new FaultyNode(place);
        }
        return scalar.Style == ScalarStyle.Plain && scalar.Value is "" or "~" or "null"
            ? new EmptyNode(place)
            : _variables?.Fill(scalar.Value, place) ?? new ScalarNode(place, scalar.Value);
    }

    private SequenceNode Sequence(SequenceStart start, int depth)
    {
        _parser.MoveNext();
        var items = new List<ConfigNode>();
        while (!_parser.Accept<SequenceEnd>(out _))
        {
            items.Add(Node(depth + 1));
        }

        return new(PlaceOf(start.Start, start.End), items);
    }

    private MappingNode Mapping(MappingStart start, int depth)
    {
        _parser.MoveNext();
        var entries = new List<ConfigEntry>();
        ConfigEntry? merge = null;
        Location? first = null;
        while (!_parser.Accept<MappingEnd>(out _))
        {
            if (!_parser.TryConsume<Scalar>(out Scalar? key))
            {
                throw Fault(_parser.Current!, "a key must be a plain word");
            }

            var entry = new ConfigEntry(key.Value, PlaceOf(key.Start, key.End), Node(depth + 1));
            first ??= entry.Location;
            if (key is not { Value: MergeKey, Style: ScalarStyle.Plain })
            {
                entries.Add(entry);
            }
            else if (merge is null)
            {
                merge = entry;
            }
            else
            {
                _report.Error(entry.Location, "", $"duplicate key '{MergeKey}'",
                    $"the first is on line {merge.Location.Line}; write {MergeKey}: [*one, *other]");
            }
        }
        if (merge is not null)
        {
            Merge(merge, entries);
        }

        return new(start.Style == MappingStyle.Block && first is { } place ? place
            : PlaceOf(start.Start, start.End), entries);
    }

    /// <summary>The merge key of YAML 1.1: adds the entries of one or several mappings that the mapping itself does not
    /// have; earlier mappings take precedence. Entries keep their places, so that a fault is shown where it is
    /// written.</summary>
    private void Merge(ConfigEntry merge, List<ConfigEntry> entries)
    {
        var taken = entries.Select(static e => e.Key).ToHashSet();
        foreach (ConfigNode source in merge.Value is SequenceNode list ? list.Items : [merge.Value])
        {
            if (source is not MappingNode mapping)
            {
                if (source is not FaultyNode)
                {
                    _report.Error(merge.Location, "", $"'{MergeKey}' needs a mapping, but this is " + source.Kind,
                        $"write {MergeKey}: *anchor, with the anchor of a mapping");
                }

                continue;
            }
            foreach (ConfigEntry entry in mapping.Entries.Where(e => taken.Add(e.Key)))
            {
                entries.Add(entry with { Merged = true });
                if (++_merged > MaxMerged)
                {
                    throw Fault(_parser.Current!, $"more than {MaxMerged} entries are merged");
                }
            }
        }
    }

    private static YamlException Fault(ParsingEvent at, string message) => new(at.Start, at.End, message);

    private Location PlaceOf(Mark start, Mark end) => new(_file, (int)Math.Max(start.Line, 1),
        (int)Math.Max(start.Column, 1), end.Line == start.Line ? (int)Math.Max(end.Column - start.Column, 1) : 1);
}
