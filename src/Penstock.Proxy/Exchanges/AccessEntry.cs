using System.Globalization;
using System.Text;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>An exchange that has ended, as the access log sees it. A text that it returns is valid until the next one,
/// because some are made in <see cref="Room"/>.</summary>
internal readonly ref struct AccessEntry
{
    /// <summary>Longer texts are shortened, so that a line always fits.</summary>
    public const int MaxTextBytes = 2048;

    /// <summary>Bytes of <see cref="Room"/>. Masking makes a query at most twice as long.</summary>
    public const int RoomBytes = 3 * MaxTextBytes;

    /// <summary>The status that nginx logs when the client closed its connection before there was one.</summary>
    private const int ClientClosed = 499;

    public required Exchange Exchange { get; init; }

    /// <summary>The buffer that starts with the request's head.</summary>
    public required ReadOnlySpan<byte> Head { get; init; }

    /// <summary>The time of day when the exchange ended.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>The loop's time when the exchange ended.</summary>
    public required long NowNs { get; init; }

    /// <summary>Memory of <see cref="RoomBytes"/> in which texts are made.</summary>
    public required Span<byte> Room { get; init; }

    /// <summary>Hides credentials in queries; null: lines show no query.</summary>
    public QueryMask? Queries { get; init; }

    /// <summary>How many requests the line stands for.</summary>
    public int Sample { get; init; }

    public RequestHead Request => Exchange.Request;

    public long DurationNs => Math.Max(0, NowNs - Exchange.StartNs);

    /// <summary>The status by which requests are selected: 499 if the client got none.</summary>
    public static int Selected(int status) => status == 0 ? ClientClosed : status;

    /// <summary>The part of the head, shortened.</summary>
    public ReadOnlySpan<byte> Of(Slice stretch) => stretch.Length == 0 || stretch.Start + stretch.Length > Head.Length
        ? default : Head.Slice(stretch.Start, Math.Min(stretch.Length, MaxTextBytes));

    /// <summary>The value of a field of the request.</summary>
    public ReadOnlySpan<byte> Field(ReadOnlySpan<byte> name)
    {
        foreach (ref readonly Field field in Request.Fields)
        {
            if (field.Known == FieldName.Other && field.Name.Length == name.Length
                && Ascii.EqualsIgnoreCase(Of(field.Name), name))
            {
                return Of(field.Value);
            }
        }
        return default;
    }

    /// <summary>The client's name. A name from Authorization is a credential, so its hash is shown.</summary>
    public ReadOnlySpan<byte> Client()
    {
        ReadOnlySpan<byte> name = Exchange.ClientName;
        if (!Ascii.EqualsIgnoreCase(Exchange.IdentifiedBy, "header:authorization"u8) || HashedKey.IsHash(name))
        {
            return name;
        }
        HashedKey.Write(name, Room);
        return Room[..HashedKey.Length];
    }

    /// <summary>A request target or a referrer; its query only if lines show queries, and then without
    /// credentials.</summary>
    public ReadOnlySpan<byte> Target(ReadOnlySpan<byte> target) => Target(target, Room);

    /// <summary>Method, target and version, as in the request line; empty if it was not understood.</summary>
    public ReadOnlySpan<byte> RequestLine()
    {
        if (Request.Target.Length == 0)
        {
            return default;
        }
        ReadOnlySpan<byte> method = Of(Request.MethodName);
        method.CopyTo(Room);
        Room[method.Length] = (byte)' ';
        int at = method.Length + 1;
        ReadOnlySpan<byte> target = Target(Of(Request.Target), Room[at..]);
        target.CopyTo(Room[at..]); // it may be there already
        at += target.Length;
        ReadOnlySpan<byte> version = Request.MinorVersion == 0 ? " HTTP/1.0"u8 : " HTTP/1.1"u8;
        version.CopyTo(Room[at..]);
        return Room[..(at + version.Length)];
    }

    /// <summary>ISO 8601 in UTC, with milliseconds.</summary>
    public ReadOnlySpan<byte> IsoTime()
    {
        Time.UtcDateTime.TryFormat(Room, out _, "O", CultureInfo.InvariantCulture); // has its own fast path
        Room[23] = (byte)'Z';
        return Room[..24];
    }

    /// <summary>As in the common log format of Apache and nginx, in UTC.</summary>
    public ReadOnlySpan<byte> CommonTime()
    {
        Time.UtcDateTime.TryFormat(Room, out int written, "dd/MMM/yyyy:HH:mm:ss", CultureInfo.InvariantCulture);
        " +0000"u8.CopyTo(Room[written..]);
        return Room[..(written + 6)];
    }

    /// <summary>The wall clock's time of day.</summary>
    public ReadOnlySpan<byte> ClockTime()
    {
        Time.LocalDateTime.TryFormat(Room, out int written, "HH:mm:ss", CultureInfo.InvariantCulture);
        return Room[..written];
    }

    private ReadOnlySpan<byte> Target(ReadOnlySpan<byte> target, Span<byte> room)
    {
        int mark = target.IndexOf((byte)'?');
        if (mark < 0 || Queries is null)
        {
            return mark < 0 ? target : target[..mark];
        }
        ReadOnlySpan<byte> masked = Queries.Write(target[(mark + 1)..], room[(mark + 1)..]);
        target[..(mark + 1)].CopyTo(room);
        return room[..Math.Min(mark + 1 + masked.Length, MaxTextBytes)];
    }
}
