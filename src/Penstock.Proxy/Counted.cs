using System.Globalization;

namespace Penstock.Proxy;

/// <summary>Numbers with what they count, for messages and tables: <c>1 client</c>, <c>2 clients</c>.</summary>
public static class Counted
{
    /// <param name="count">How many.</param>
    /// <param name="one">The word for one of them, whose plural ends in s.</param>
    public static string Of(long count, string one) =>
        string.Create(CultureInfo.InvariantCulture, $"{count} {Noun(count, one)}");

    /// <summary>A number with a comma for thousands.</summary>
    public static string InGroups(long count, string one) =>
        $"{count.ToString("#,0", CultureInfo.InvariantCulture)} {Noun(count, one)}";

    /// <summary>With a verb: <c>1 request waits</c>, <c>2 requests wait</c>.</summary>
    public static string Of(long count, string one, string verbOfOne, string verbOfMany) =>
        $"{Of(count, one)} {(count == 1 ? verbOfOne : verbOfMany)}";

    /// <summary><c>1 request is</c>, <c>2 requests are</c>.</summary>
    public static string Are(long count, string one) => Of(count, one, "is", "are");

    private static string Noun(long count, string one) => count == 1 ? one : one + "s";
}
