using Penstock.Control.Config;

namespace Penstock.Control.Conversions;

/// <summary>What a conversion made.</summary>
/// <param name="Yaml">A configuration of Penstock; null if there is none.</param>
/// <param name="Left">What was not converted, each with file, line and reason.</param>
/// <param name="Fault">Why there is no configuration.</param>
internal sealed record Converted(string? Yaml, IReadOnlyCollection<string> Left, string? Fault);

/// <summary>Makes configurations from those of other programs. A conversion is a start that a person reads: what is not
/// converted is listed, nothing is dropped silently.</summary>
internal static class Converters
{
    public const string Nginx = "nginx";
    public const string Haproxy = "haproxy";

    /// <summary>The JSON or YAML file of one of the many small balancers that solve one exercise.</summary>
    public const string Small = "small-balancer";

    public static Converted Convert(string format, string fileName, string text)
    {
        var conversion = new Conversion(fileName);
        (int Line, string Why)? fault = null;
        switch (format)
        {
            case Nginx:
                NginxConverter.Convert(text, conversion, out fault);
                break;
            case Haproxy:
                HaproxyConverter.Convert(text, conversion, out fault);
                break;
            default:
                fault = ConvertSmall(fileName, text, conversion);
                break;
        }
        if (fault is { } found)
        {
            return new(null, conversion.Left, $"{fileName}:{found.Line}: {found.Why}");
        }
        return conversion.Root["backends"] is null && conversion.Root["upstreams"] is null
            ? new(null, conversion.Left, $"{fileName} names no backend that can be converted")
            : new($"# Made from {Path.GetFileName(fileName)} by 'penstock config convert'.\n"
                + DraftText.Write(InOrder(conversion.Root)), conversion.Left, null);
    }

    private static (int Line, string Why)? ConvertSmall(string fileName, string text, Conversion conversion)
    {
        bool isJson = fileName.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
            || text.TrimStart().StartsWith('{');
        var report = new Report();
        var file = new SourceFile(fileName, text);
        ConfigNode? root = isJson ? JsonTree.Read(file, report, variables: null)
            : YamlTree.Read(file, report, variables: null);
        if (root is null || report.Errors > 0)
        {
            Diagnostic first = report.Diagnostics[0];
            return (first.Line, first.Message);
        }
        SmallBalancerConverter.Convert(root, isJson, conversion);
        return null;
    }

    /// <summary>The order of the documents.</summary>
    private static DraftMap InOrder(DraftMap root)
    {
        string[] order =
        [
            "listen", "clients", "limits", "backends", "balance", "health_check", "retries", "upstreams", "routes",
            "timeouts", "bounds", "loops", "access_log", "store", "log",
        ];
        var sorted = new DraftMap();
        foreach (string key in order)
        {
            sorted.Set(key, root[key]);
        }
        return sorted;
    }
}
