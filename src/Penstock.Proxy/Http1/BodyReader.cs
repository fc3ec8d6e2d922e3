using System.Diagnostics.CodeAnalysis;

namespace Penstock.Proxy.Http1;

/// <summary>Reads one body with any framing out of a stream of bytes, and finds its end. Pure and incremental: pass it
/// the received bytes; it returns how many it consumed and how many of them were payload. Chunk extensions and trailer
/// fields are checked, bounded and dropped (RFC 9112 §7.1.1, §7.1.2). A mutable struct: keep it in one place.</summary>
[SuppressMessage("Performance", "CA1815", Justification = "Never compared.")]
internal struct BodyReader
{
    /// <summary>Maximum number of bytes of chunk extensions in one body.</summary>
    private const int MaxExtensionBytes = 4 * 1024;
    private const int MaxTrailerBytes = 8 * 1024;
    private const int MaxSizeDigits = 15;

    /// <summary>A body may have this many bytes of chunk framing in any case; beyond that at most three times as many
    /// as payload. Chunks of one byte cost Penstock far more than their sender. The numbers are h2o's
    /// (picohttpparser).</summary>
    private const int FreeFramingBytes = 100 * 1024;
    private const int MaxFramingPerPayload = 3;

    private enum State : byte
    {
        Size,
        Extension,
        QuotedExtension,
        QuotedPair,
        SizeFeed,
        Data,
        DataReturn,
        DataFeed,
        TrailerStart,
        TrailerName,
        TrailerValue,
        TrailerFeed,
        LastFeed,
    }

    private readonly BodyFraming _framing;
    private readonly bool _boundsFraming;
    private State _state;
    private long _remaining;
    private long _allowance;
    private long _payloadBytes;
    private long _framingBytes;
    private int _digits;
    private int _extensionBytes;
    private int _trailerBytes;

    public bool Done { readonly get; private set; }
    public HttpFault Fault { readonly get; private set; }
    public readonly BodyFraming Framing => _framing;

    /// <param name="maxBytes">Maximum number of bytes of payload; more is a fault. 0: no bound.</param>
    /// <param name="boundsFraming">A chunked body that consists nearly only of framing is a fault. True for requests; a
    /// backend may send its progress in single bytes.</param>
    public BodyReader(BodyFraming framing, long length, long maxBytes = 0, bool boundsFraming = false)
    {
        _framing = framing;
        _boundsFraming = boundsFraming;
        _allowance = maxBytes == 0 ? long.MaxValue : maxBytes;
        _remaining = framing == BodyFraming.Length ? length : 0;
        Done = framing == BodyFraming.None;
    }

    /// <summary>Moves payload from <paramref name="source"/> to <paramref name="target"/>, which must have room for
    /// it all and may be the same memory (payload never moves towards the end). Stops at the end of the body, at a
    /// fault, or when the source is used up.</summary>
    /// <returns>Bytes of payload written.</returns>
    public int Read(ReadOnlySpan<byte> source, Span<byte> target, out int consumed)
    {
        int payload = ReadPart(source, target, out consumed);
        _allowance -= payload;
        if (_allowance < 0)
        {
            Fault = HttpFault.BodyTooLarge;
        }
        return payload;
    }

    /// <summary>Takes note of the end of the stream.</summary>
    /// <returns>Whether the body is complete.</returns>
    public bool End() => Done |= _framing == BodyFraming.UntilClose;

    private int ReadPart(ReadOnlySpan<byte> source, Span<byte> target, out int consumed)
    {
        switch (_framing)
        {
            case BodyFraming.Chunked:
                return ReadChunked(source, target, out consumed);
            case BodyFraming.None:
                consumed = 0;
                return 0;
            case BodyFraming.Length:
                consumed = (int)Math.Min(source.Length, _remaining);
                _remaining -= consumed;
                Done = _remaining == 0;
                break;
            default:
                consumed = source.Length;
                break;
        }
        source[..consumed].CopyTo(target);
        return consumed;
    }

    private int ReadChunked(ReadOnlySpan<byte> source, Span<byte> target, out int consumed)
    {
        int at = 0;
        int written = 0;
        while (at < source.Length && !Done && Fault == HttpFault.None)
        {
            if (_state == State.Data)
            {
                int part = (int)Math.Min(_remaining, source.Length - at);
                source.Slice(at, part).CopyTo(target[written..]);
                written += part;
                at += part;
                _remaining -= part;
                _payloadBytes += part;
                if (_remaining == 0)
                {
                    _state = State.DataReturn;
                }
                continue;
            }
            Step(source[at++]);
            _framingBytes++;
        }
        consumed = at;
        return written;
    }

    private void Step(byte b)
    {
        switch (_state)
        {
            case State.Size:
                OnSize(b);
                break;
            case State.Extension or State.QuotedExtension or State.QuotedPair:
                OnExtension(b);
                break;
            case State.SizeFeed:
                Expect(b, '\n', _remaining == 0 ? State.TrailerStart : State.Data, HttpFault.ChunkLineInvalid);
                _digits = 0;
                if (_boundsFraming && _framingBytes > FreeFramingBytes
                    && _framingBytes > MaxFramingPerPayload * _payloadBytes)
                {
                    Fault = HttpFault.ChunkOverhead;
                }
                break;
            case State.DataReturn:
                Expect(b, '\r', State.DataFeed, HttpFault.ChunkDataUnterminated);
                break;
            case State.DataFeed:
                Expect(b, '\n', State.Size, HttpFault.ChunkDataUnterminated);
                break;
            case State.LastFeed:
                Expect(b, '\n', State.Size, HttpFault.TrailerInvalid);
                Done = Fault == HttpFault.None;
                break;
            default:
                OnTrailer(b);
                break;
        }
    }

    private void OnSize(byte b)
    {
        if (Grammar.IsHex(b, out int digit))
        {
            _remaining = (_remaining << 4) | (uint)digit;
            Fault = ++_digits > MaxSizeDigits ? HttpFault.ChunkSizeInvalid : HttpFault.None;
        }
        else if (_digits > 0 && b is (byte)'\r' or (byte)';')
        {
            _state = b == '\r' ? State.SizeFeed : State.Extension;
        }
        else
        {
            Fault = HttpFault.ChunkSizeInvalid;
        }
    }

    private void OnExtension(byte b)
    {
        if (++_extensionBytes > MaxExtensionBytes)
        {
            Fault = HttpFault.ChunkExtensionTooLong;
        }
        else if (_state == State.QuotedPair)
        {
            Fault = Grammar.FieldValue.Contains(b) ? HttpFault.None : HttpFault.ChunkLineInvalid;
            _state = State.QuotedExtension;
        }
        else if (_state == State.QuotedExtension)
        {
            _state = b switch { (byte)'"' => State.Extension, (byte)'\\' => State.QuotedPair, _ => _state };
            Fault = Grammar.FieldValue.Contains(b) ? HttpFault.None : HttpFault.ChunkLineInvalid;
        }
        else if (b == '\r')
        {
            _state = State.SizeFeed;
        }
        else if (b == '"')
        {
            _state = State.QuotedExtension;
        }
        else if (b is not ((byte)';' or (byte)'=' or (byte)' ' or (byte)'\t') && !Grammar.Token.Contains(b))
        {
            Fault = HttpFault.ChunkLineInvalid;
        }
    }

    private void OnTrailer(byte b)
    {
        if (++_trailerBytes > MaxTrailerBytes)
        {
            Fault = HttpFault.TrailerTooLarge;
            return;
        }
        switch (_state)
        {
            case State.TrailerStart when b == '\r':
                _state = State.LastFeed;
                break;
            case State.TrailerStart or State.TrailerName when Grammar.Token.Contains(b):
                _state = State.TrailerName;
                break;
            case State.TrailerName when b == ':':
                _state = State.TrailerValue;
                break;
            case State.TrailerValue when b == '\r':
                _state = State.TrailerFeed;
                break;
            case State.TrailerValue when Grammar.FieldValue.Contains(b):
                break;
            case State.TrailerFeed when b == '\n':
                _state = State.TrailerStart;
                break;
            default:
                Fault = HttpFault.TrailerInvalid;
                break;
        }
    }

    private void Expect(byte b, char wanted, State next, HttpFault otherwise)
    {
        if (b == wanted)
        {
            _state = next;
        }
        else
        {
            Fault = otherwise;
        }
    }
}
