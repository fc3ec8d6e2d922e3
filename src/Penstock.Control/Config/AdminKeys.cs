using System.Net;
using System.Net.Sockets;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys of the admin API.</summary>
internal static class AdminKeys
{
    private static readonly Keys<AdminTokenConfig> Token =
        new Keys<AdminTokenConfig>("admin_token", new("", AdminRole.Read, ""))
            .Key("name", Name, token => token.Name, (token, v) => token with { Name = v },
                "Who uses the token; the log names it with each change.")
            .Required()
            .Key("role", OneOf(("read", AdminRole.Read), ("admin", AdminRole.Admin)), token => token.Role,
                (token, v) => token with { Role = v },
                "`read`: only GET and HEAD requests, and `POST /explain`; `admin`: everything.")
            .Key("sha256", TokenHash, token => token.Sha256, (token, v) => token with { Sha256 = v },
                "The SHA-256 of the token. `penstock token create` makes a token and prints its line for this list.")
            .Required()
            .Secret(); // somebody may write the token itself here

    /// <summary>What is wrong with a backend that is the admin API itself, and what to do.</summary>
    public static readonly (string Fault, string Remedy) Unprotected = (
        "the admin API, which has no token: everybody could change limits", "set admin.token or admin.tokens");

    /// <summary>The keys of <c>admin</c>.</summary>
    public static readonly Keys<AdminConfig> Table = new Keys<AdminConfig>("admin", new())
        .Key("listen", Address, admin => admin.Listen, (admin, v) => admin with { Listen = v },
            "The address of the admin API; it must differ from those of the listeners.")
        .AlsoCalled("listen: 127.0.0.1:9801", "port", "address", "addr", "bind", "host", "listen_port")
        .AtStart()
        .Key("mode", new Optional<UnixFileMode>(SocketMode), admin => admin.Mode,
            (admin, v) => admin with { Mode = v },
            "The mode of the file of a Unix socket: `0660` lets its owner and its group use the API.")
        .DefaultText("from the umask")
        .AtStart()
        .Then(static (section, admin) => CheckMode(section, admin.Listen))
        .Key("token", ConfigValue.Token, admin => admin.Token, (admin, v) => admin with { Token = v },
            "A token with the role `admin`, as plain text. Callers send it as `Authorization: Bearer TOKEN`. Empty: "
                + "there is no such token. A token here or in `tokens` is required unless `listen` is a loopback "
                + "address or a Unix socket.")
        .Secret()
        .Then(static (section, _) =>
        {
            if (section["token"] is { Node: ScalarNode { IsSecret: true } written } field
                && string.IsNullOrWhiteSpace(written.Text))
            {
                field.Error("the file of the token is empty: without a token everybody who reaches the API may use it",
                    "write the token into the file, or remove this key");
            }
        })
        .Key("tokens", new ListShape<AdminTokenConfig>(new Mapping<AdminTokenConfig>(Token))
        {
            Text = "list of mappings",
            Check = static all =>
            {
                // A value with a fault is empty.
                Repeated.Report("token", all.Where(static t => t.Value?.Name.Length > 0), static token => token.Name);
                Repeated.Report("SHA-256 of token", all.Where(static t => t.Value?.Sha256.Length > 0),
                    static token => token.Sha256, static token => token.Name);
            },
        }, admin => admin.Tokens, (admin, v) => admin with { Tokens = [.. v] },
            "Tokens with a name and a role: [tokens](#tokens-of-the-admin-api).")
        .DefaultText("none");

    /// <summary>Rejects the key <c>mode</c> of a listener that is not a Unix socket.</summary>
    public static void CheckMode(Section section, EndPoint? address)
    {
        if (address is not UnixDomainSocketEndPoint)
        {
            section["mode"]?.Error("'mode' is for Unix sockets only", "remove it");
        }
    }

    /// <summary>Rejects a route to an upstream whose backend is the API itself, if the API has no token: it trusts
    /// every caller on loopback, and the data plane would be that caller for everybody. A route for a probe alone may
    /// lead there, because the probes need no token.</summary>
    public static void CheckBackends(Section file, PenstockConfig config)
    {
        if (config.Admin is not { HasToken: false, Listen: { } listen } || HasFaultyToken(file["admin"]))
        {
            return;
        }
        foreach (UpstreamConfig upstream in config.Proxy.Upstreams
            .Where(upstream => upstream.Backends.Any(backend => OwnAddress.Is(backend, listen))
                && config.Proxy.Routes.Any(route => route.Upstream == upstream.Name && !IsForProbe(route))))
        {
            (file["upstreams"] ?? file["backends"] ?? file.At).Error(
                $"upstream '{upstream.Name}' sends requests to {Unprotected.Fault}", Unprotected.Remedy);
        }
    }

    /// <summary>There is a token, but its value has a fault that is reported already.</summary>
    private static bool HasFaultyToken(ConfigField? admin) => admin?.Node is MappingNode mapping
        && mapping.Entries.Any(static entry => entry.Value is FaultyNode);

    private static bool IsForProbe(RouteConfig route) =>
        route is { Path: "/livez" or "/readyz", Rewrite: null };

    /// <summary>Rejects an API that other machines can reach without a token.</summary>
    public static void Check(Section section, AdminConfig admin, PenstockConfig _)
    {
        ConfigField at = section["listen"] ?? section.At;
        if (admin is { IsOpen: true, HasToken: false } && section["token"]?.Node is not FaultyNode)
        {
            at.Error($"admin on {admin.Listen} needs a token: otherwise everybody who reaches it can change limits",
                "set admin.token or admin.tokens, or listen on 127.0.0.1");
        }
    }
}
