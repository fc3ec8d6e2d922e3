using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Routing;

/// <summary>A route's rewrite of the path for the backend. Immutable, thread-safe.</summary>
internal sealed class PathRewrite(RewriteConfig config)
{
    private readonly byte[] _strip = Encoding.ASCII.GetBytes(config.StripPrefix ?? "");
    private readonly byte[] _add = Encoding.ASCII.GetBytes((config.AddPrefix ?? "").TrimEnd('/'));

    /// <summary>Maximum number of bytes by which a path can grow.</summary>
    public int AddedBytes => _add.Length + 1;

    /// <summary>Writes the new path. The rest of the old path keeps its bytes. The result starts with exactly one
    /// slash, so that no server reads its front as an authority (RFC 3986 §4.2).</summary>
    /// <param name="path">The path as sent, without query. It has matched the route's path.</param>
    public void Write(ref HeadWriter to, ReadOnlySpan<byte> path)
    {
        ReadOnlySpan<byte> rest = path[Strip(path)..];
        ReadOnlySpan<byte> tail = rest.TrimStart((byte)'/');
        to.Add(_add);
        if (_add.Length == 0 || rest.Length > 0)
        {
            to.Add("/"u8);
        }
        to.Add(tail);
    }

    /// <summary>How many bytes of the path are the prefix, which may be sent encoded.</summary>
    private int Strip(ReadOnlySpan<byte> path)
    {
        int at = 0;
        for (int i = 0; i < _strip.Length && at < path.Length;)
        {
            byte wanted = PathForms.Next(_strip.AsSpan(i), out int length);
            byte b = PathForms.Next(path[at..], out int taken);
            if (b != wanted)
            {
                return 0;
            }
            i += length;
            at += taken;
        }
        return at;
    }
}
