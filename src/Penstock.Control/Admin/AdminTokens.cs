using System.Security.Cryptography;
using System.Text;
using Penstock.Control.Config;

namespace Penstock.Control.Admin;

/// <summary>The tokens in force. A reload changes them. Thread-safe.</summary>
internal sealed class AdminTokens
{
    private readonly AdminConfig _started;
    private volatile Known[] _known;
    private int _version;

    /// <param name="started">The configuration at the start, which decides where the API listens.</param>
    public AdminTokens(AdminConfig started)
    {
        _started = started;
        _known = KnownOf(started);
        InForce = started;
    }

    private sealed record Known(AdminCaller Caller, byte[] Hash);

    /// <summary>The configuration whose tokens are in force.</summary>
    public AdminConfig InForce { get; private set; }

    /// <summary>Changes whenever other tokens come into force.</summary>
    public int Version => Volatile.Read(ref _version);

    /// <summary>False: the API needs no token.</summary>
    public bool Exist => _known.Length > 0;

    /// <summary>The owner of a token; null if the token is wrong.</summary>
    public AdminCaller? Find(string token)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(token));
        AdminCaller? found = null;
        foreach (Known known in _known) // all of them, so that the time tells nothing
        {
            found = CryptographicOperations.FixedTimeEquals(hash, known.Hash) ? known.Caller : found;
        }
        return found;
    }

    /// <summary>Puts the tokens of a new configuration in force. If it has none, the old tokens stay where the API
    /// still listens at an address that is not the one of that configuration, or that other machines reach. One caller
    /// at a time.</summary>
    /// <returns>The keys whose new values are not in force.</returns>
    public IReadOnlyList<string> Apply(AdminConfig config)
    {
        bool listensElsewhere = !Equals(config.Listen, _started.Listen) || config.Mode != _started.Mode;
        if (!config.HasToken && (_started.IsOpen || listensElsewhere))
        {
            return [.. InForce.Token.Length > 0 ? ["admin.token"] : Array.Empty<string>(),
                .. InForce.Tokens.Count > 0 ? ["admin.tokens"] : Array.Empty<string>()];
        }
        bool same = config.Token == InForce.Token && config.Tokens.Equals(InForce.Tokens);
        (_known, InForce) = (KnownOf(config), config);
        Volatile.Write(ref _version, _version + (same ? 0 : 1));
        return [];
    }

    private static Known[] KnownOf(AdminConfig config) =>
    [
        .. config.Token.Length == 0 ? Array.Empty<Known>()
            : [new(new("admin.token", AdminRole.Admin), SHA256.HashData(Encoding.UTF8.GetBytes(config.Token)))],
        .. config.Tokens.Select(static token =>
            new Known(new(token.Name, token.Role), Convert.FromHexString(token.Sha256))),
    ];
}
