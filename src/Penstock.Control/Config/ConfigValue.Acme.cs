using System.Buffers.Text;
using Penstock.Proxy;

namespace Penstock.Control.Config;

/// <content>Values of ACME.</content>
internal static partial class ConfigValue
{
    private const int MaxNameLength = 253; // RFC 1035 without the final dot
    private const int MaxLabelLength = 63;
    private const int MaxDirectoryLength = 200; // it becomes the name of a folder

    private static readonly (string Word, string Url)[] KnownDirectories =
    [
        ("letsencrypt", AcmeConfig.LetsEncrypt), ("letsencrypt-staging", AcmeConfig.LetsEncryptStaging),
        ("zerossl", AcmeConfig.ZeroSsl),
    ];

    /// <summary>See <see cref="TryCertificateName"/>.</summary>
    public static readonly Syntax<string> CertificateName = new(TryCertificateName, SchemaPart.Quote)
    {
        Schema = SchemaPart.String,
        Text = "host name",
        Samples = ["example.com", "www.example.com", "*.example.com", "192.0.2.1", "localhost"],
    };

    /// <summary>See <see cref="TryCaDirectory"/>.</summary>
    public static readonly Syntax<string> CaDirectory = new(TryCaDirectory, static url => SchemaPart.Quote(
        KnownDirectories.Where(known => known.Url == url).Select(static known => known.Word).FirstOrDefault() ?? url))
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Words([.. KnownDirectories.Select(static known => known.Word)]),
            """{ "type": "string", "pattern": "^https://" }""", SchemaPart.Variable),
        Text = "`letsencrypt`, `letsencrypt-staging`, `zerossl` or a URL",
        Samples = ["letsencrypt-staging", "https://ca.example.com/acme/directory", "http://ca.example.com/", "zerossl"],
    };

    /// <summary>An address of the form <c>name@host</c>.</summary>
    public static readonly Syntax<string> Email = new(TryEmail)
    {
        Schema = SchemaPart.String,
        Text = "email address",
        Samples = ["ops@example.com", "a@b.example", "ops"],
    };

    /// <summary>A key in base64url. Messages do not quote it.</summary>
    public static readonly Syntax<string> MacKey = new(TryMacKey)
    {
        Schema = SchemaPart.String,
        Text = "text in base64url",
        Samples = ["c2VjcmV0LW9uZQ", "c2VjcmV0LXR3bw"],
    };

    /// <summary>The path of a folder.</summary>
    public static readonly Syntax<string> FolderPath = new(
        static (string text, out string path, out string error) =>
        {
            path = text;
            return text.Length > 0 && !text.Any(char.IsControl) ? Succeed(out error)
                : Fail($"{Quote(text)} is not a path; write /var/lib/penstock/acme", out error);
        })
    {
        Schema = SchemaPart.String,
        Text = "path",
        Samples = ["acme", "/var/lib/penstock/acme"],
    };

    /// <summary>A name that a certificate can have: a full host name in ASCII. The result is in lower case.</summary>
    public static bool TryCertificateName(string text, out string name, out string error)
    {
        name = text.ToLowerInvariant();
        return NameFault(name) is { } fault ? Fail($"{Quote(text)} {fault}", out error) : Succeed(out error);
    }

    /// <summary>The URL of an ACME directory, or a word for one.</summary>
    public static bool TryCaDirectory(string text, out string url, out string error)
    {
        url = KnownDirectories.Where(known => Suggestion.Fold(known.Word) == Suggestion.Fold(text))
            .Select(static known => known.Url).FirstOrDefault() ?? "";
        if (url.Length > 0)
        {
            return Succeed(out error);
        }
        if (!text.Contains("://", StringComparison.Ordinal))
        {
            return Fail($"{Quote(text)} is not a CA; {Suggestion.For(text, [.. KnownDirectories.Select(
                static known => known.Word)]) ?? "write letsencrypt, or the https:// URL of a directory"}", out error);
        }
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) || uri.Host.Length == 0 || uri.UserInfo.Length > 0)
        {
            return Fail($"{Quote(text)} is not a URL; write https://host/directory", out error);
        }
        if (uri.Scheme != Uri.UriSchemeHttps)
        {
            return Fail($"{Quote(text)} is not encrypted, and ACME requires that; write https://", out error);
        }
        url = uri.AbsoluteUri;
        return url.Length <= MaxDirectoryLength ? Succeed(out error)
            : Fail($"{Quote(text)} is too long; write at most {MaxDirectoryLength} characters", out error);
    }

    private static string? NameFault(string name)
    {
        string[] labels = name.Split('.');
        return name switch
        {
            _ when name.Contains('*', StringComparison.Ordinal) => "is a wildcard, for which CAs require the "
                + "challenge dns-01, which Penstock does not have; write each name, such as www.example.com",
            _ when AddressText.TryParseScoped(name.Trim('[', ']'), out _) || EndsInNumber(name) =>
                "is an IP address; write a host name, such as example.com",
            _ when name.AsSpan().ContainsAny("/:@ ,") => "is more than a host name; write example.com",
            _ when name.Any(static c => c > '~') =>
                "has letters outside of ASCII; write its ASCII form, which begins with xn--",
            _ when labels.Length == 1 => "has no dot, and CAs give certificates to full names only; write the full "
                + "name, such as app.example.com",
            _ when name.Length > MaxNameLength || labels.Any(static label => label.Length > MaxLabelLength) =>
                $"is too long; use at most {MaxNameLength} characters, and {MaxLabelLength} between two dots",
            _ when labels.Any(static label => !IsLabel(label)) =>
                "is not a host name; use letters, digits and '-', with a single dot between two parts",
            _ => null,
        };
    }

    private static bool IsLabel(string label) => label.Length > 0 && label[0] != '-' && label[^1] != '-'
        && label.All(static c => char.IsAsciiLetterOrDigit(c) || c == '-');

    private static bool TryEmail(string text, out string email, out string error)
    {
        email = text;
        int at = text.IndexOf('@');
        return at > 0 && at == text.LastIndexOf('@') && at < text.Length - 1
            && text.All(static c => c is > ' ' and <= '~' and not (',' or '<' or '>' or '?' or '%'))
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not an email address; write ops@example.com", out error);
    }

    private static bool TryMacKey(string text, out string key, out string error)
    {
        key = text.TrimEnd('=');
        return key.Length > 0 && Base64Url.IsValid(key)
            ? Succeed(out error)
            : Fail("this is not base64url; copy the key as the CA shows it", out error);
    }
}
