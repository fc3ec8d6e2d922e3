using System.Globalization;
using System.Text;

namespace Penstock.TestKit;

/// <summary>Reads HTTP/1 messages from a stream in a simple, strict way: a malformed message throws.</summary>
public sealed class Wire(Stream stream)
{
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;

    /// <summary>True if the last read returned more bytes than the message had.</summary>
    public bool HasBuffered => _start < _end;

    /// <summary>The number of all bytes that have arrived.</summary>
    public long Received { get; private set; }

    /// <summary>A message head without its empty line; null at the end of the stream.</summary>
    public async Task<string?> ReadHeadAsync()
    {
        var head = new List<byte>();
        while (true)
        {
            int b = await ReadByteAsync();
            if (b < 0)
            {
                return head.Count == 0 ? null : throw new EndOfStreamException("the head is cut: " + Text(head));
            }
            head.Add((byte)b);
            if (head.Count >= 4 && head[^1] == '\n' && head[^2] == '\r' && head[^3] == '\n' && head[^4] == '\r')
            {
                return Encoding.Latin1.GetString([.. head[..^4]]);
            }
        }
    }

    /// <summary>The body that belongs to a head.</summary>
    public async Task<byte[]> ReadBodyAsync(string head, bool isResponse, bool toHead = false)
    {
        int status = isResponse ? int.Parse(head.AsSpan(9, 3), CultureInfo.InvariantCulture) : 0;
        if (toHead || status is (>= 100 and < 200) or 204 or 304)
        {
            return [];
        }
        if (Field(head, "Transfer-Encoding") is not null)
        {
            return await ReadChunkedAsync();
        }
        if (Field(head, "Content-Length") is { } length)
        {
            return await ReadExactlyAsync(int.Parse(length, CultureInfo.InvariantCulture));
        }
        return isResponse ? await ReadToEndAsync() : [];
    }

    public async Task<byte[]> ReadExactlyAsync(int count)
    {
        byte[] body = new byte[count];
        for (int done = 0; done < count;)
        {
            if (_start == _end && !await FillAsync())
            {
                throw new EndOfStreamException($"the body is cut: {done} of {count} bytes");
            }
            int part = Math.Min(count - done, _end - _start);
            _buffer.AsSpan(_start, part).CopyTo(body.AsSpan(done));
            _start += part;
            done += part;
        }
        return body;
    }

    /// <summary>The bytes that have arrived, at least one; empty at the end of the stream.</summary>
    public async Task<byte[]> ReadSomeAsync()
    {
        if (_start == _end && !await FillAsync())
        {
            return [];
        }
        byte[] some = _buffer[_start.._end];
        _start = _end;
        return some;
    }

    public async Task<byte[]> ReadToEndAsync()
    {
        var all = new MemoryStream();
        do
        {
            await all.WriteAsync(_buffer.AsMemory(_start, _end - _start));
            _start = _end;
        }
        while (await FillAsync());
        return all.ToArray();
    }

    /// <summary>Value of a field of a head, or null; several are joined by a comma.</summary>
    public static string? Field(string head, string name)
    {
        string[] values = [.. head.Split("\r\n").Skip(1)
            .Select(static l => l.Split(':', 2))
            .Where(p => p[0].Equals(name, StringComparison.OrdinalIgnoreCase))
            .Select(static p => p[1].Trim())];
        return values.Length == 0 ? null : string.Join(", ", values);
    }

    private async Task<byte[]> ReadChunkedAsync()
    {
        var body = new MemoryStream();
        while (true)
        {
            string line = await ReadLineAsync();
            int size = int.Parse(line, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            await body.WriteAsync(await ReadExactlyAsync(size));
            if (await ReadLineAsync() is { Length: > 0 } rest)
            {
                throw new InvalidDataException("a chunk does not end: " + rest);
            }
            if (size == 0)
            {
                return body.ToArray();
            }
        }
    }

    private async Task<string> ReadLineAsync()
    {
        var line = new List<byte>();
        while (true)
        {
            int b = await ReadByteAsync();
            if (b < 0)
            {
                throw new EndOfStreamException("a line is cut: " + Text(line));
            }
            line.Add((byte)b);
            if (line.Count >= 2 && line[^1] == '\n' && line[^2] == '\r')
            {
                return Text(line[..^2]);
            }
        }
    }

    private async Task<int> ReadByteAsync() => _start < _end || await FillAsync() ? _buffer[_start++] : -1;

    private async Task<bool> FillAsync()
    {
        _start = 0;
        _end = await stream.ReadAsync(_buffer);
        Received += _end;
        return _end > 0;
    }

    private static string Text(List<byte> bytes) => Encoding.Latin1.GetString([.. bytes]);
}
