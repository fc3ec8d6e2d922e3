using System.Text;

namespace Penstock.Proxy.Http1;

/// <summary>Why a parser rejected a message. Its name in snake_case is the detail of the access log's <c>reason</c> and
/// the metric's label; <see cref="HttpFaultInfo"/> has its status and sentence.</summary>
internal enum HttpFault : byte
{
    None,
    BadRequestLine,
    BadMethod,
    BadTarget,
    TargetTooLong,
    BadVersion,
    VersionNotSupported,
    BareLineFeed,
    BadFieldName,
    FieldNameTooLong,
    SpaceBeforeColon,
    MissingColon,
    BadFieldValue,
    FoldedField,
    HeadTooLarge,
    TooManyFields,
    HostMissing,
    HostRepeated,
    HostInvalid,
    ContentLengthInvalid,
    ContentLengthRepeated,
    TransferEncodingInvalid,
    TransferEncodingUnsupported,
    TransferEncodingWithLength,
    TransferEncodingOnHttp10,
    MethodNotSupported,
    ExpectationUnknown,
    BodyTooLarge,
    ChunkSizeInvalid,
    ChunkLineInvalid,
    ChunkDataUnterminated,
    ChunkExtensionTooLong,

    /// <summary>The body consists nearly only of chunk framing, such as 100,000 chunks of one byte.</summary>
    ChunkOverhead,
    TrailerInvalid,
    TrailerTooLarge,
    BadStatusLine,
    Truncated,
    PathAmbiguous,

    /// <summary>The request names several clients, at least one of which is known.</summary>
    ClientAmbiguous,
}

internal static class HttpFaultInfo
{
    private static readonly byte[][] Words =
        [.. Enum.GetNames<HttpFault>().Select(static n => Encoding.ASCII.GetBytes(SnakeCase(n)))];

    /// <summary>The fault's name in logs and metrics, such as <c>host_missing</c>.</summary>
    public static ReadOnlySpan<byte> Bytes(this HttpFault fault) => Words[(int)fault];

    /// <summary>The status of the answer to a request with this fault (RFC 9110 §15, RFC 6585 §5).</summary>
    public static int Status(this HttpFault fault) => fault switch
    {
        HttpFault.BodyTooLarge => 413,
        HttpFault.TargetTooLong => 414,
        HttpFault.FieldNameTooLong or HttpFault.HeadTooLarge or HttpFault.TooManyFields
            or HttpFault.TrailerTooLarge => 431,
        HttpFault.TransferEncodingUnsupported or HttpFault.MethodNotSupported => 501,
        HttpFault.ExpectationUnknown => 417,
        HttpFault.VersionNotSupported => 505,
        _ => 400,
    };

    public static ReadOnlySpan<byte> Sentence(this HttpFault fault) => fault switch
    {
        HttpFault.BadRequestLine => "The request line is not METHOD SP TARGET SP HTTP/1.1 CRLF"u8,
        HttpFault.BadMethod => "The method is not a token"u8,
        HttpFault.BadTarget => "The request target is not valid"u8,
        HttpFault.TargetTooLong => "The request line is too long"u8,
        HttpFault.BadVersion => "The HTTP version is not valid"u8,
        HttpFault.VersionNotSupported => "Only HTTP/1.1 and HTTP/1.0 are supported"u8,
        HttpFault.BareLineFeed => "A line ends in LF without CR"u8,
        HttpFault.BadFieldName => "A header field name is not a token"u8,
        HttpFault.FieldNameTooLong => "A header field name is too long"u8,
        HttpFault.SpaceBeforeColon => "There is white space between a header field name and its colon"u8,
        HttpFault.MissingColon => "A header line has no colon"u8,
        HttpFault.BadFieldValue => "A header field value has a control character"u8,
        HttpFault.FoldedField => "A header field is folded over several lines"u8,
        HttpFault.HeadTooLarge => "The header is too large"u8,
        HttpFault.TooManyFields => "The header has too many fields"u8,
        HttpFault.HostMissing => "The Host field is missing"u8,
        HttpFault.HostRepeated => "There is more than one Host field"u8,
        HttpFault.HostInvalid => "The Host field is not valid"u8,
        HttpFault.ContentLengthInvalid => "Content-Length is not a number"u8,
        HttpFault.ContentLengthRepeated => "There is more than one Content-Length"u8,
        HttpFault.TransferEncodingInvalid => "Transfer-Encoding is not valid"u8,
        HttpFault.TransferEncodingUnsupported => "Only the transfer coding 'chunked' is supported"u8,
        HttpFault.TransferEncodingWithLength => "Transfer-Encoding and Content-Length exclude each other"u8,
        HttpFault.TransferEncodingOnHttp10 => "HTTP/1.0 has no Transfer-Encoding"u8,
        HttpFault.MethodNotSupported => "This method is not supported"u8,
        HttpFault.ExpectationUnknown => "Only the expectation 100-continue is supported"u8,
        HttpFault.BodyTooLarge => "The body is larger than is allowed"u8,
        HttpFault.ChunkSizeInvalid => "A chunk size is not valid"u8,
        HttpFault.ChunkLineInvalid => "A chunk line does not end in CRLF or its extension is not valid"u8,
        HttpFault.ChunkDataUnterminated => "A chunk is longer than its size says"u8,
        HttpFault.ChunkOverhead => "The body has far more chunk framing than content"u8,
        HttpFault.ChunkExtensionTooLong => "Chunk extensions are too long"u8,
        HttpFault.TrailerInvalid => "The trailer section is not valid"u8,
        HttpFault.TrailerTooLarge => "The trailer section is too large"u8,
        HttpFault.BadStatusLine => "The status line is not valid"u8,
        HttpFault.PathAmbiguous => "The path can be read in several ways that lead to different routes"u8,
        HttpFault.ClientAmbiguous => "The request names several clients; send one identifier, once"u8,
        HttpFault.Truncated => "The message ended too early"u8,
        _ => "The message is not valid HTTP/1.1"u8,
    };

    private static string SnakeCase(string name) =>
        string.Concat(name.Select((c, i) => char.IsAsciiLetterUpper(c)
            ? (i == 0 ? "" : "_") + char.ToLowerInvariant(c)
            : c.ToString()));
}
