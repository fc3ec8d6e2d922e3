using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Penstock.Control.Simulation;

/// <summary>Reads a line of Penstock's access log, or of the common format (Apache's
/// <c>%h %l %u %t "%r" %&gt;s %b</c>) or the combined format (nginx' default). Not thread-safe.</summary>
/// <param name="format">Auto: a line that begins with a brace is JSON.</param>
/// <param name="key">The member or field that names the client.</param>
internal sealed class LogLineParser(LogFormat format, string key)
{
    private const long NsPerTick = 100;

    /// <summary>How many members of a line a message names.</summary>
    private const int MaxMembers = 40;

    /// <summary>The fields of the common format that can name the client.</summary>
    public static readonly string[] CommonKeys = ["client", "client_address", "user"];

    /// <summary>Those of the combined format.</summary>
    public static readonly string[] CombinedKeys = [.. CommonKeys, "referer", "user_agent"];

    private readonly byte[] _key = Encoding.UTF8.GetBytes(key);
    private byte[] _keyValue = new byte[512];

    /// <returns>Why the line cannot be read, or null.</returns>
    public string? Parse(ReadOnlySpan<byte> line, out LogLine read)
    {
        read = default;
        return IsJson(line) ? ParseJson(line, ref read) : ParsePlain(line, ref read);
    }

    /// <summary>What to write as key instead, for a log in which no line has it.</summary>
    /// <param name="line">One of these lines.</param>
    /// <param name="number">Its number.</param>
    /// <param name="read">What was read of it.</param>
    public string KeyFault(ReadOnlySpan<byte> line, long number, in LogLine read)
    {
        if (!IsJson(line))
        {
            return SimulationSettings.KeyFault(read.Combined ? LogFormat.Combined : LogFormat.Common, key)!;
        }
        List<string> members = [];
        var json = new Utf8JsonReader(line);
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            members.Add(Encoding.UTF8.GetString(json.ValueSpan)); // as written, because it may not be Unicode
            json.Read();
            json.Skip();
        }
        return $"'{key}' is in no line as a text or a number; line {number} has "
            + (members.Count == 0 ? "nothing" : string.Join(", ", members.Take(MaxMembers)))
            + (members.Count > MaxMembers ? ", …" : "");
    }

    private bool IsJson(ReadOnlySpan<byte> line) =>
        format == LogFormat.Json || (format == LogFormat.Auto && line.StartsWith("{"u8));

    private string? ParseJson(ReadOnlySpan<byte> line, ref LogLine read)
    {
        long? unixNs = null;
        double durationMs = 0;
        (bool keyed, bool limited, bool unserved, bool named, bool leveled) = (false, false, false, false, false);
        try
        {
            var json = new Utf8JsonReader(line);
            if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            {
                return "is not a JSON object";
            }

            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                bool isKey = json.ValueTextEquals(_key);
                bool isTime = json.ValueTextEquals("time"u8);
                bool isDuration = json.ValueTextEquals("duration_ms"u8);
                bool isReason = json.ValueTextEquals("reason"u8);
                limited |= json.ValueTextEquals("limit"u8);
                named |= json.ValueTextEquals("event"u8);
                leveled |= json.ValueTextEquals("level"u8);
                json.Read();
                if (isTime && json.TokenType == JsonTokenType.String
                    && json.TryGetDateTimeOffset(out DateTimeOffset time))
                {
                    unixNs = (time - DateTimeOffset.UnixEpoch).Ticks * NsPerTick;
                }
                else if (isDuration && json.TokenType == JsonTokenType.Number)
                {
                    durationMs = json.GetDouble();
                }
                else if (isReason && json.TokenType == JsonTokenType.String)
                {
                    read.Rejected = json.ValueTextEquals("rate_limited"u8);
                    unserved = IsUnserved(ref json);
                }
                keyed = isKey ? ReadKey(ref json, ref read) : keyed;
                json.Skip();
            }
            if (!json.IsFinalBlock || json.TokenType != JsonTokenType.EndObject || json.Read())
            {
                return "is not one JSON object";
            }
        }
        catch (JsonException)
        {
            return "is not valid JSON";
        }
        catch (InvalidOperationException)
        {
            return "contains a text that is not valid Unicode";
        }
        read.Event = named && leveled;
        return read.Event ? null : Judge(unixNs, durationMs, unserved && !limited, keyed, ref read);
    }

    private string? Judge(long? unixNs, double durationMs, bool undecided, bool keyed, ref LogLine read)
    {
        if (unixNs is not { } ns)
        {
            return "has no 'time' with a date";
        }

        if (!keyed)
        {
            read.Keyless = true;
            return $"has no '{key}' with a text or a number";
        }
        // The line is written when a request ends, but the limit decided when it began.
        if (!(durationMs is >= 0 and < 1e12))
        {
            return "has an invalid 'duration_ms'";
        }

        read.UnixNs = ns - (long)(durationMs * 1e6);
        read.Undecided = undecided;
        return null;
    }

    private static bool IsUnserved(ref Utf8JsonReader reason) =>
        reason.ValueTextEquals("bad_request"u8) || reason.ValueTextEquals("no_route"u8)
        || reason.ValueTextEquals("loop"u8) || reason.ValueTextEquals("client_timeout"u8)
        || reason.ValueTextEquals("client_abort"u8);

    private bool ReadKey(ref Utf8JsonReader json, ref LogLine read)
    {
        if (json.TokenType == JsonTokenType.String)
        {
            if (_keyValue.Length < json.ValueSpan.Length)
            {
                _keyValue = new byte[json.ValueSpan.Length];
            }

            read.Key = _keyValue.AsSpan(0, json.CopyString(_keyValue));
            return true;
        }
        read.Key = json.ValueSpan;
        return json.TokenType is JsonTokenType.Number or JsonTokenType.True or JsonTokenType.False;
    }

    private string? ParsePlain(ReadOnlySpan<byte> line, ref LogLine read)
    {
        ReadOnlySpan<byte> rest = line;
        ReadOnlySpan<byte> address = UpTo(ref rest, " "u8);
        UpTo(ref rest, " "u8);
        ReadOnlySpan<byte> user = UpTo(ref rest, " ["u8); // a user's name may contain spaces
        ReadOnlySpan<byte> time = UpTo(ref rest, "] "u8);
        if (address.IsEmpty || user.IsEmpty || time.IsEmpty)
        {
            return format == LogFormat.Auto ? "is neither JSON nor in the common or combined format"
                : "is not in the common or combined format";
        }

        if (!TryTime(time, out read.UnixNs))
        {
            return "has a time that is not in the format [10/Oct/2000:13:55:36 -0700]";
        }

        if (!TryQuoted(ref rest, out _))
        {
            return "has no request in quotes";
        }

        if (!Utf8Parser.TryParse(rest, out int status, out int digits) || digits != 3)
        {
            return "has no status";
        }

        read.Rejected = status == 429;
        UpTo(ref rest, " "u8);
        UpTo(ref rest, " "u8);
        bool combined =
            TryQuoted(ref rest, out ReadOnlySpan<byte> referer) & TryQuoted(ref rest, out ReadOnlySpan<byte> agent);
        read.Combined = combined;
        if (!combined && (format == LogFormat.Combined || key is "referer" or "user_agent"))
        {
            read.Keyless = format != LogFormat.Combined;
            return "has no referer and user agent: it is not in the combined format";
        }

        if (!CombinedKeys.Contains(key))
        {
            read.Keyless = true;
            return $"has no '{key}', because it is not JSON";
        }

        read.Key = key switch
        {
            "user" => user,
            "referer" => referer,
            "user_agent" => agent,
            _ => address,
        };
        return null;
    }

    private static ReadOnlySpan<byte> UpTo(scoped ref ReadOnlySpan<byte> rest, ReadOnlySpan<byte> end)
    {
        int at = rest.IndexOf(end);
        ReadOnlySpan<byte> part = at < 0 ? rest : rest[..at];
        rest = at < 0 ? default : rest[(at + end.Length)..];
        return part;
    }

    /// <summary>Reads a text in quotes; a backslash escapes the next byte.</summary>
    private static bool TryQuoted(scoped ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> text)
    {
        text = default;
        if (rest.IsEmpty || rest[0] != '"')
        {
            return false;
        }

        for (int i = 1; i < rest.Length; i++)
        {
            if (rest[i] == '\\')
            {
                i++;
            }
            else if (rest[i] == '"')
            {
                text = rest[1..i];
                rest = rest[(i + 1)..].TrimStart((byte)' ');
                return true;
            }
        }
        return false;
    }

    private static bool TryTime(ReadOnlySpan<byte> text, out long unixNs)
    {
        unixNs = 0;
        Span<char> chars = stackalloc char[26];
        if (text.Length != 26 || !Encoding.ASCII.TryGetChars(text, chars, out _))
        {
            return false;
        }
        // .NET needs a colon in the offset, which is at the end.
        Span<char> withColon = stackalloc char[27];
        chars[..24].CopyTo(withColon);
        withColon[24] = ':';
        chars[24..].CopyTo(withColon[25..]);
        if (!DateTimeOffset.TryParseExact(withColon, "dd/MMM/yyyy:HH:mm:ss zzz", CultureInfo.InvariantCulture,
            DateTimeStyles.None, out DateTimeOffset time))
        {
            return false;
        }

        unixNs = (time - DateTimeOffset.UnixEpoch).Ticks * NsPerTick;
        return true;
    }
}
