using System.Globalization;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <content>Values of health checks.</content>
internal static partial class ConfigValue
{
    /// <summary>A check with an HTTP request, or one that only connects.</summary>
    public static readonly Syntax<bool> IsTcpCheck = OneOf(("http", false), ("tcp", true));

    /// <summary>The request target of a health check; it may have a query.</summary>
    public static readonly Syntax<string> CheckPath = new(
        static (string text, out string path, out string error) =>
        {
            path = text;
            return IsPath(text) ? Succeed(out error) : Fail($"{Quote(text)} is not a path; write /health", out error);
        })
    {
        Schema = SchemaPart.Path,
        Text = "path",
        Samples = ["/health", "/ready?full"],
    };

    /// <summary>The method of a health check.</summary>
    public static readonly Syntax<string> CheckMethod = new(
        static (string text, out string method, out string error) => TryMethod(text, out method, out error)
            && (method != "CONNECT" || Fail("CONNECT asks for a tunnel; write GET, HEAD or OPTIONS", out error)),
        SchemaPart.Quote)
    {
        Schema = SchemaPart.String,
        Text = "method",
        Samples = ["GET", "HEAD", "OPTIONS"],
    };

    /// <summary><c>204</c>, <c>200-299</c> or <c>2xx</c>, from 200 to 599.</summary>
    public static readonly Syntax<StatusRange> Statuses =
        StatusesFrom(200, """{ "$ref": "#/definitions/status_range" }""");

    /// <summary>The value of a header field of a check: printable ASCII.</summary>
    public static bool TryFieldValue(string text, out string value, out string error)
    {
        value = text;
        return text.All(static c => c is >= ' ' and <= '~')
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not allowed in a header field; write printable ASCII", out error);
    }

    /// <summary><c>204</c>, <c>200-299</c> or <c>2xx</c>, up to 599.</summary>
    /// <param name="min">The lowest status, 100 or 200.</param>
    /// <param name="schema">Its schema.</param>
    public static Syntax<StatusRange> StatusesFrom(int min, string schema)
    {
        return new(Parse, static range => range.From == range.To ? $"{range}" : SchemaPart.Quote($"{range}"))
        {
            Schema = schema,
            Text = $"`204`, `200-299` or `2xx`, from {min} to 599",
            Samples = ["204", "200-299", "3xx"],
        };

        bool Parse(string text, out StatusRange range, out string error)
        {
            range = default;
            if (text.Length == 3 && text[0] is >= '1' and <= '5' && (text[0] - '0') * 100 >= min
                && text.EndsWith("xx", StringComparison.OrdinalIgnoreCase))
            {
                int hundreds = (text[0] - '0') * 100;
                range = new(hundreds, hundreds + 99);
                return Succeed(out error);
            }
            int dash = text.IndexOf('-');
            string first = dash < 0 ? text : text[..dash];
            string last = dash < 0 ? text : text[(dash + 1)..];
            if (!TryStatus(first, min, out int from) || !TryStatus(last, min, out int to))
            {
                return Fail($"{Quote(text)} is not a status; write 204, 200-299 or 2xx, from {min} to 599", out error);
            }
            if (from > to)
            {
                return Fail($"{Quote(text)} is an empty range; write {to}-{from}", out error);
            }
            range = new(from, to);
            return Succeed(out error);
        }
    }

    private static bool TryStatus(string text, int min, out int status) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out status) && status >= min
        && status <= 599;
}
