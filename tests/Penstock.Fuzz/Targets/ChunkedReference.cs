using Penstock.Proxy.Http1;

namespace Penstock.Fuzz.Targets;

internal enum Verdict
{
    Whole,
    Cut,
    Wrong,
}

/// <summary>A second decoder of the chunked coding, written to be plainly right: recursive descent over octets that
/// are all there, one function per rule of RFC 9112 §7.1.</summary>
internal sealed class ChunkedReference
{
    private const int MaxExtensionBytes = 4096;
    private const int MaxTrailerBytes = 8192;

    private readonly byte[] _octets;
    private int _extensionBytes;
    private int _trailerBytes;

    private ChunkedReference(byte[] octets) => _octets = octets;

    /// <summary>Octets looked at: up to and with the last of the body, or the first that is wrong.</summary>
    public int Used { get; private set; }
    public List<byte> Payload { get; } = [];
    public int Chunks { get; private set; }

    public static (Verdict Verdict, ChunkedReference Body) Decode(byte[] octets)
    {
        var body = new ChunkedReference(octets);
        try
        {
            while (body.Chunk())
            {
                body.Chunks++;
            }
            while (body.TrailerField())
            {
            }
            return (Verdict.Whole, body);
        }
        catch (StopException stop)
        {
            return (stop.Verdict, body);
        }
    }

    private bool Chunk()
    {
        long size = 0;
        int digits = 0;
        byte octet = Next();
        for (; char.IsAsciiHexDigit((char)octet); octet = Next())
        {
            Check(++digits <= 15);
            size = (size * 16) + Convert.ToInt32(((char)octet).ToString(), 16);
        }
        Check(digits > 0 && octet is (byte)'\r' or (byte)';');
        if (octet == ';')
        {
            Extension();
        }
        Check(Next() == '\n');
        for (long left = size; left > 0; left--)
        {
            Payload.Add(Next());
        }
        if (size > 0)
        {
            Check(Next() == '\r');
            Check(Next() == '\n');
        }
        return size > 0;
    }

    /// <summary>Up to and with the CR.</summary>
    private void Extension()
    {
        for (byte octet = ExtensionOctet(); octet != '\r'; octet = ExtensionOctet())
        {
            if (octet != '"')
            {
                Check(octet is (byte)';' or (byte)'=' or (byte)' ' or (byte)'\t' || Grammar.Token.Contains(octet));
                continue;
            }
            for (octet = ExtensionOctet(); octet != '"'; octet = ExtensionOctet())
            {
                Check(IsText(octet));
                if (octet == '\\')
                {
                    Check(IsText(ExtensionOctet()));
                }
            }
        }
    }

    private byte ExtensionOctet()
    {
        byte octet = Next();
        Check(++_extensionBytes <= MaxExtensionBytes);
        return octet;
    }

    private bool TrailerField()
    {
        byte octet = TrailerOctet();
        if (octet == '\r')
        {
            Check(Next() == '\n');
            return false;
        }
        Check(Grammar.Token.Contains(octet));
        while ((octet = TrailerOctet()) != ':')
        {
            Check(Grammar.Token.Contains(octet));
        }
        while ((octet = TrailerOctet()) != '\r')
        {
            Check(IsText(octet));
        }
        Check(TrailerOctet() == '\n');
        return true;
    }

    private byte TrailerOctet()
    {
        byte octet = Next();
        Check(++_trailerBytes <= MaxTrailerBytes);
        return octet;
    }

    private static bool IsText(byte octet) => octet == '\t' || (octet >= ' ' && octet != 0x7F);

    private byte Next() => Used < _octets.Length ? _octets[Used++] : throw new StopException(Verdict.Cut);

    private static void Check(bool right)
    {
        if (!right)
        {
            throw new StopException(Verdict.Wrong);
        }
    }

    private sealed class StopException(Verdict verdict) : Exception
    {
        public Verdict Verdict => verdict;
    }
}
