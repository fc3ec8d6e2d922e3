using Penstock.Proxy.Http1;

namespace Penstock.Fuzz.Targets;

internal enum Verdict
{
    Whole,
    Cut,
    Wrong,
}

/// <summary>A second decoder of the chunked coding, written to be obviously correct: recursive descent over complete
/// input, one function per rule of RFC 9112 §7.1.</summary>
internal sealed class ChunkedReference
{
    private const int MaxExtensionBytes = 4096;
    private const int MaxTrailerBytes = 8192;

    private readonly byte[] _bytes;
    private int _extensionBytes;
    private int _trailerBytes;

    private ChunkedReference(byte[] bytes) => _bytes = bytes;

    /// <summary>Bytes looked at: up to and with the last of the body, or the first that is wrong.</summary>
    public int Used { get; private set; }
    public List<byte> Payload { get; } = [];
    public int Chunks { get; private set; }

    public static (Verdict Verdict, ChunkedReference Body) Decode(byte[] bytes)
    {
        var body = new ChunkedReference(bytes);
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
        byte b = Next();
        for (; char.IsAsciiHexDigit((char)b); b = Next())
        {
            Check(++digits <= 15);
            size = (size * 16) + Convert.ToInt32(((char)b).ToString(), 16);
        }
        Check(digits > 0 && b is (byte)'\r' or (byte)';');
        if (b == ';')
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
        for (byte b = ExtensionByte(); b != '\r'; b = ExtensionByte())
        {
            if (b != '"')
            {
                Check(b is (byte)';' or (byte)'=' or (byte)' ' or (byte)'\t' || Grammar.Token.Contains(b));
                continue;
            }
            for (b = ExtensionByte(); b != '"'; b = ExtensionByte())
            {
                Check(IsText(b));
                if (b == '\\')
                {
                    Check(IsText(ExtensionByte()));
                }
            }
        }
    }

    private byte ExtensionByte()
    {
        byte b = Next();
        Check(++_extensionBytes <= MaxExtensionBytes);
        return b;
    }

    private bool TrailerField()
    {
        byte b = TrailerByte();
        if (b == '\r')
        {
            Check(Next() == '\n');
            return false;
        }
        Check(Grammar.Token.Contains(b));
        while ((b = TrailerByte()) != ':')
        {
            Check(Grammar.Token.Contains(b));
        }
        while ((b = TrailerByte()) != '\r')
        {
            Check(IsText(b));
        }
        Check(TrailerByte() == '\n');
        return true;
    }

    private byte TrailerByte()
    {
        byte b = Next();
        Check(++_trailerBytes <= MaxTrailerBytes);
        return b;
    }

    private static bool IsText(byte b) => b == '\t' || (b >= ' ' && b != 0x7F);

    private byte Next() => Used < _bytes.Length ? _bytes[Used++] : throw new StopException(Verdict.Cut);

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
