using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Routing;

/// <summary>A route's changes of header fields, compiled to bytes. Immutable, thread-safe.</summary>
internal sealed class HeaderEdits
{
    private readonly byte[][] _dropped;

    private HeaderEdits(HeaderEditsConfig config)
    {
        HeaderField[] set = [.. config.Set.Where(static f => !IsHost(f.Name))];
        _dropped = [.. set.Select(static f => f.Name).Concat(config.Remove)
            .Select(static n => Encoding.ASCII.GetBytes(Folded(n))).DistinctBy(Encoding.ASCII.GetString)];
        Lines = Encoding.ASCII.GetBytes(string.Concat(set.Concat(config.Add)
            .Select(static f => $"{f.Name}: {f.Value}\r\n")));
        Host = config.Set.FirstOrDefault(static f => IsHost(f.Name)) is { } host
            ? Encoding.ASCII.GetBytes(host.Value) : null;
    }

    /// <summary>The field lines to write, each with its CRLF.</summary>
    public byte[] Lines { get; }

    /// <summary>The value of the Host field; null: the client's.</summary>
    public byte[]? Host { get; }

    public static HeaderEdits? Of(HeaderEditsConfig? config) => config is null ? null : new HeaderEdits(config);

    /// <summary>Whether a field of this name is left out. Underscores count as hyphens, because CGI-like backends
    /// cannot tell the two apart: otherwise <c>X_User</c> would evade an edit of <c>X-User</c>.</summary>
    public bool Drops(ReadOnlySpan<byte> name)
    {
        foreach (byte[] dropped in _dropped)
        {
            if (dropped.Length == name.Length && EqualsFolded(name, dropped))
            {
                return true;
            }
        }
        return false;
    }

    private static bool EqualsFolded(ReadOnlySpan<byte> name, ReadOnlySpan<byte> folded)
    {
        for (int i = 0; i < name.Length; i++)
        {
            byte b = name[i] == '_' ? (byte)'-' : name[i];
            if ((b is >= (byte)'A' and <= (byte)'Z' ? b | 0x20 : b) != folded[i])
            {
                return false;
            }
        }
        return true;
    }

    private static string Folded(string name) => name.Replace('_', '-').ToLowerInvariant();

    private static bool IsHost(string name) => name.Equals("host", StringComparison.OrdinalIgnoreCase);
}
