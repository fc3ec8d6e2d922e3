using System.Globalization;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <content>Values of health checks.</content>
internal static partial class ConfigValue
{
    /// <summary><c>204</c>, <c>200-299</c> or <c>2xx</c>, from 200 to 599.</summary>
    public static bool TryStatusRange(string text, out StatusRange range, out string error)
    {
        range = default;
        if (text.Length == 3 && text[0] is >= '2' and <= '5' && text.EndsWith("xx", StringComparison.OrdinalIgnoreCase))
        {
            var hundreds = (text[0] - '0') * 100;
            range = new(hundreds, hundreds + 99);
            return Succeed(out error);
        }
        var dash = text.IndexOf('-');
        var first = dash < 0 ? text : text[..dash];
        var last = dash < 0 ? text : text[(dash + 1)..];
        if (!TryStatus(first, out var from) || !TryStatus(last, out var to))
            return Fail($"{Quote(text)} is not a status; write 204, 200-299 or 2xx, from 200 to 599", out error);
        if (from > to)
            return Fail($"{Quote(text)} has no status in it; write {to}-{from}", out error);
        range = new(from, to);
        return Succeed(out error);
    }

    public static bool TryCheckMethod(string text, out string method, out string error) =>
        TryMethod(text, out method, out error)
        && (method != "CONNECT" || Fail("CONNECT asks for a tunnel; write GET, HEAD or OPTIONS", out error));

    /// <summary>What may stand in a header field that we send: printable ASCII.</summary>
    public static bool TryFieldValue(string text, out string value, out string error)
    {
        value = text;
        return text.All(c => c is >= ' ' and <= '~')
            ? Succeed(out error)
            : Fail($"{Quote(text)} cannot stand in a header field; write printable ASCII", out error);
    }

    /// <summary>A whole number of percent, such as <c>50%</c>; <c>off</c> is 0.</summary>
    public static Parser<int> PercentOrOff(int from, int to) => (string text, out int value, out string error) =>
    {
        value = 0;
        if (text.Equals("off", StringComparison.OrdinalIgnoreCase))
            return Succeed(out error);
        return (text.EndsWith('%') && Whole(from, to)(text[..^1].TrimEnd(), out value, out _) && Succeed(out error))
            || Fail($"{Quote(text)} is not a whole number of percent; write {from}% to {to}%, or off", out error);
    };

    /// <summary>A number of times, such as <c>3</c> or <c>2.5</c>; <c>off</c> is 0.</summary>
    public static Parser<double> FactorOrOff(double from, double to) =>
        (string text, out double value, out string error) =>
        {
            value = 0;
            if (text.Equals("off", StringComparison.OrdinalIgnoreCase))
                return Succeed(out error);
            return (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value)
                    && value >= from && value <= to && Succeed(out error))
                || Fail(string.Create(CultureInfo.InvariantCulture,
                    $"{Quote(text)} is not a number from {from} to {to}; write a number, or off"), out error);
        };

    private static bool TryStatus(string text, out int status) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out status) && status is >= 200 and <= 599;
}
