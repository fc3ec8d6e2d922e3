using System.Buffers;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Routing;

/// <summary>The different readings of a path by servers (RFC 3986 §5.2.4 and §6.2.2, and what nginx, Apache, Go, Tomcat
/// and IIS do beyond it). A route matches a path only if all readings lead to it; see docs/routing.md. Pure.</summary>
internal static class PathForms
{
    public const int Count = 4;

    private static readonly SearchValues<byte> Marks = SearchValues.Create("%;\\"u8);

    /// <summary>Whether every reading of the path is the path itself.</summary>
    public static bool IsPlain(ReadOnlySpan<byte> path) =>
        !path.ContainsAny(Marks) && path.IndexOf("/."u8) < 0 && path.IndexOf("//"u8) < 0;

    /// <summary>Writes one reading of the path, which must start with a slash, to <paramref name="to"/>, which must be
    /// at least as long.</summary>
    /// <param name="form">0: bytes decoded, except those that could change the structure. 1: then dot segments resolved
    /// (RFC 3986). 2: all bytes decoded first, dot segments resolved, slashes merged (nginx, Apache, Go). 3: as 2, but
    /// without <c>;parameters</c> and with backslashes read as slashes (Tomcat, IIS).</param>
    /// <param name="hasDots">Whether the reading had dot segments. Form 0 does not resolve them.</param>
    public static int Write(int form, ReadOnlySpan<byte> path, Span<byte> to, out bool hasDots)
    {
        int length = Decode(path, to, everything: form >= 2, lenient: form == 3);
        hasDots = false;
        return form == 0 ? length : Resolve(to[..length], merge: form >= 2, out hasDots);
    }

    /// <summary>Whether the path has an encoded zero byte, which ends the path for some servers and not for
    /// others.</summary>
    public static bool HasZero(ReadOnlySpan<byte> path) => path.IndexOf("%00"u8) >= 0;

    /// <summary>The next byte of a path in form 0.</summary>
    /// <param name="length">How many bytes of the path it used.</param>
    public static byte Next(ReadOnlySpan<byte> path, out int length)
    {
        if (path[0] == '%' && FormText.TryDecode(path, out byte b) && !IsStructure(b))
        {
            length = 3;
            return b;
        }
        length = 1;
        return path[0];
    }

    /// <summary>Bytes that would change the path's structure, or be decoded twice, if they were decoded.</summary>
    private static bool IsStructure(byte b) => b is (byte)'/' or (byte)'\\' or (byte)';' or (byte)'%' or 0;

    private static int Decode(ReadOnlySpan<byte> path, Span<byte> to, bool everything, bool lenient)
    {
        int length = 0;
        for (int at = 0; at < path.Length;)
        {
            if (lenient && path[at] == ';')
            {
                int parameters = path[at..].IndexOf((byte)'/');
                at = parameters < 0 ? path.Length : at + parameters;
                continue;
            }
            byte b = Next(path[at..], out int taken);
            if (everything && taken == 1 && FormText.TryDecode(path[at..], out byte decoded))
            {
                b = decoded;
                taken = 3;
            }
            to[length++] = lenient && b == '\\' ? (byte)'/' : b;
            at += taken;
        }
        return length;
    }

    /// <summary>Removes dot segments in place. It never writes beyond what it has read.</summary>
    private static int Resolve(Span<byte> path, bool merge, out bool hasDots)
    {
        hasDots = false;
        int length = 0;
        for (int at = 0; at < path.Length;)
        {
            int end = path[(at + 1)..].IndexOf((byte)'/');
            end = end < 0 ? path.Length : at + 1 + end;
            ReadOnlySpan<byte> segment = path[(at + 1)..end];
            bool last = end == path.Length;
            bool up = segment.SequenceEqual(".."u8);
            if (up || segment.SequenceEqual("."u8))
            {
                hasDots = true;
                length = up ? Math.Max(0, path[..length].LastIndexOf((byte)'/')) : length;
                if (last)
                {
                    path[length++] = (byte)'/';
                }
            }
            else if (!merge || last || !segment.IsEmpty)
            {
                path[at..end].CopyTo(path[length..]);
                length += end - at;
            }
            at = end;
        }
        return length;
    }
}
