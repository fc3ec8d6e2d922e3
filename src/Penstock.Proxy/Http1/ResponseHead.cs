namespace Penstock.Proxy.Http1;

/// <summary>A parsed response head (RFC 9112 §4). It is as strict as for requests, because responses are written again
/// too; a response that two parsers could read differently becomes a 502.</summary>
internal sealed class ResponseHead(HeadBounds bounds) : MessageHead(bounds)
{
    public ResponseHead()
        : this(HeadBounds.Default)
    {
    }

    public int Status { get; private set; }
    public Slice ReasonPhrase { get; private set; }
    public bool IsInterim => Status is >= 100 and < 200;

    /// <summary>The backend has sent RateLimit fields or, see <see cref="SawXRateLimit"/>, X-RateLimit
    /// fields.</summary>
    public bool SawRateLimit { get; private set; }
    public bool SawXRateLimit { get; private set; }

    /// <summary>The request was a HEAD, so no body follows, whatever the fields say (RFC 9112 §6.3 rule 1). Set it
    /// before parsing.</summary>
    public bool ToHead { get; set; }

    /// <summary>Whether the backend connection may be reused after the body.</summary>
    public bool KeepAlive => Framing != BodyFraming.UntilClose && !ConnectionClose
        && (MinorVersion > 0 || ConnectionKeepAlive);

    public override void Reset()
    {
        base.Reset();
        Status = 0;
        ReasonPhrase = default;
        SawRateLimit = SawXRateLimit = false;
    }

    protected override bool OnField(FieldName known, ReadOnlySpan<byte> value, Slice at)
    {
        SawRateLimit |= known is FieldName.RateLimit or FieldName.RateLimitPolicy;
        SawXRateLimit |= known is FieldName.XRateLimitLimit or FieldName.XRateLimitRemaining
            or FieldName.XRateLimitReset;
        return true;
    }

    protected override bool ParseStartLine(ReadOnlySpan<byte> line, int at)
    {
        // HTTP/1.1 SP 3DIGIT [SP reason]. A missing space before an empty reason is common and harmless, so it is
        // accepted.
        if (line.Length < 12 || !line.StartsWith("HTTP/1."u8) || !char.IsAsciiDigit((char)line[7])
            || line[8] != ' ' || (line.Length > 12 && line[12] != ' ')
            || line[9..12].ContainsAnyExceptInRange((byte)'0', (byte)'9') || line[9] == '0' || line[9] > '5')
        {
            return Fail(HttpFault.BadStatusLine);
        }
        MinorVersion = line[7] == '0' ? 0 : 1;
        Status = ((line[9] - '0') * 100) + ((line[10] - '0') * 10) + (line[11] - '0');
        ReasonPhrase = line.Length > 13 ? new Slice(at + 13, line.Length - 13) : new Slice(at + 12, 0);
        return !line[12..].ContainsAnyExcept(Grammar.FieldValue) || Fail(HttpFault.BadStatusLine);
    }

    protected override bool Complete(ReadOnlySpan<byte> head)
    {
        bool bodiless = IsInterim || Status is 204 or 304;
        if (SawTransferEncoding && (IsInterim || Status == 204))
        {
            return Fail(HttpFault.TransferEncodingInvalid);
        }
        Framing = bodiless || ToHead ? BodyFraming.None
            : SawTransferEncoding ? BodyFraming.Chunked
            : ContentLength > 0 ? BodyFraming.Length
            : ContentLength == 0 ? BodyFraming.None
            : BodyFraming.UntilClose;
        return true;
    }
}
