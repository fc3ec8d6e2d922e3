using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Routing;
using Penstock.TestKit;

namespace Penstock.Fuzz.Targets;

/// <summary>The target of a request: how its path is read, and which route it takes.</summary>
internal sealed class PathTarget : FuzzTarget
{
    private static readonly string[] Hosts = ["a.t", "b.a.t", "x"];

    private static readonly RouteConfig[][] Tables =
    [
        [R("all", null), R("a", "/a"), R("below a", "/a/*"), R("admin", "/a/admin/*"), R("ab", "/ab*")],
        [R("a", "/a/*"), R("b", "/a/b/c"), R("there", "/b/*", "*.t"), R("here", "/b/*", "b.a.t")],
        [R("new", "/v1/*") with { Rewrite = new() { AddPrefix = "/new" } }, R("dots", "/v1/a.b/*"), R("all", "/*")],
    ];

    private readonly RouteProbe[] _probes = [.. Tables.Select(static t => new RouteProbe(t))];
    private readonly byte[] _room = new byte[16 * 1024];

    public override string Name => "path";
    public override int MaxBytes => 200;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. new[]
        {
            "/", "/a", "/a/b/c", "/a/../b", "/a/%2e%2e/admin/x", "/a//admin/", "/a/./b", "/a/admin;x=y/z",
            @"/a/..\x5cadmin", "/%61/b", "/a%2fadmin/x", "/a/%5cb", "/ab?c=/../d", "/v1/..", "/v1/a%2Eb/c",
            "/v1/%252e%252e/x", "/a%00b", "/a/%zz", "/%", "/b;/../a", "/..;/a",
        }.Select(Bytes.Of),
    ];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        .. new[]
        {
            "/", "..", ".", "/..", "/.", "//", "%2e", "%2E", "%2f", "%2F", "%5c", @"\x5c", ";", "%3b", "..;", "%25",
            "%252e", "%00", "%61", "%62", "?", "a", "b", "admin", "v1", "a.b", "%c3%a9", @"\xe9", "%",
        }.Select(Bytes.Of),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        string target = Bytes.Text(input);
        if (!IsTarget(target))
        {
            return ["no target"];
        }
        string path = target.Split('?')[0];
        HashSet<string> words = [Forms(input[..path.Length])];
        for (int table = 0; table < Tables.Length; table++)
        {
            foreach (string host in Hosts)
            {
                string? expected = RouteReference.Match(Tables[table], host, path, "GET", []);
                string? actual = _probes[table].Match(host, target);
                Require(actual == expected, "the route is the reference's",
                    $"'{actual}', not '{expected}', for {host} {path}");
                words.Add($"{table} {host} {actual}");
            }
        }
        return words;
    }

    private static RouteConfig R(string name, string? path, string? host = null) =>
        new() { Name = name, Upstream = "u", Path = path, Host = host };

    private static bool IsTarget(string target)
    {
        var request = new RequestHead();
        byte[] head = Encoding.Latin1.GetBytes($"GET {target} HTTP/1.0\r\nHost: a\r\n\r\n");
        return target.StartsWith('/') && !target.Contains(' ', StringComparison.Ordinal)
            && request.Parse(head) == ParseStatus.Complete && request.Length == head.Length;
    }

    /// <summary>What must hold for every reading.</summary>
    private string Forms(byte[] path)
    {
        bool plain = PathForms.IsPlain(path);
        bool dots = false;
        for (int form = 0; form < PathForms.Count; form++)
        {
            int length = PathForms.Write(form, path, _room, out bool hasDots);
            ReadOnlySpan<byte> read = _room.AsSpan(0, length);
            Require(length <= path.Length, "no reading is longer", $"form {form}: {length} of {path.Length}");
            Require(!plain || read.SequenceEqual(path), "a plain path is read as it is", $"form {form}");
            Require(length > 0 && read[0] == '/', "a reading starts with a slash",
                $"form {form}: {Bytes.Escaped(read)}");
            Require(form == 0 || !$"{Bytes.Text(read)}/".Contains("/../", StringComparison.Ordinal),
                "no dots are left", $"form {form}: {Bytes.Escaped(read)}");
            dots |= hasDots;
        }
        return $"plain {plain} dots {dots}";
    }
}
