namespace Penstock.Control.Config;

/// <summary>Finds and reads the configuration file, and returns all its faults at once.</summary>
internal static class ConfigLoader
{
    private const long MaxFileBytes = 4 * 1024 * 1024;

    private static readonly string[] Places =
    [
        "penstock.yaml", "penstock.yml", "penstock.json",
        "/etc/penstock/penstock.yaml", "/etc/penstock/penstock.yml", "/etc/penstock/penstock.json",
    ];

    /// <summary>The file to load. A named file is returned without a check, because <see cref="Load"/> reports its
    /// faults; null if no file is named and none of the usual places has one.</summary>
    public static string? Find(string? explicitPath, Func<string, string?> environment, out IReadOnlyList<string> tried)
    {
        string?[] named = [explicitPath, environment("PENSTOCK_CONFIG"), environment("CONFIG_PATH")];
        if (named.FirstOrDefault(path => !string.IsNullOrEmpty(path)) is { } path)
        {
            tried = [path];
            return path;
        }
        tried = Places;
        return Places.FirstOrDefault(File.Exists);
    }

    public static ConfigResult Load(string path, Func<string, string?> environment)
    {
        try
        {
            long length = new FileInfo(path).Length;
            return length <= MaxFileBytes
                ? Parse(path, File.ReadAllText(path), environment)
                : Unreadable(path, $"it has {length} bytes, but at most {MaxFileBytes} are allowed");
        }
        catch (FileNotFoundException)
        {
            return Unreadable(path, Directory.Exists(path) ? "it is a directory" : "there is no such file");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException
            or NotSupportedException)
        {
            return Unreadable(path, fault.Message);
        }
    }

    /// <summary>Parses the text as JSON if the file name ends in <c>.json</c>, otherwise as YAML.</summary>
    public static ConfigResult Parse(string fileName, string text, Func<string, string?> environment)
    {
        var report = new Report(fileName, text);
        var variables = new Variables(environment, report);
        ConfigNode? root = fileName.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
            ? JsonTree.Read(text, report, variables)
            : YamlTree.Read(text, report, variables);
        PenstockConfig? config = root is null ? null : FileKeys.Read(root, report);
        return new(report.Errors > 0 ? null : config! with { File = fileName }, report.Diagnostics);
    }

    private static ConfigResult Unreadable(string path, string why) =>
        new(null, [new() { Message = $"cannot read the configuration: {why}", File = path }]);
}
