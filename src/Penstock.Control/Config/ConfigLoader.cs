using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <summary>Finds and reads the configuration, which is a file or a directory of files, and returns all its faults at
/// once.</summary>
internal static class ConfigLoader
{
    private static readonly string[] Places =
    [
        "penstock.yaml", "penstock.yml", "penstock.json",
        "/etc/penstock/penstock.yaml", "/etc/penstock/penstock.yml", "/etc/penstock/penstock.json",
        "config/config.yaml", "configs/config.yaml", // last, because they may belong to another program
    ];

    /// <summary>The file or directory to load. A named one is returned without a check, because <see cref="Load"/>
    /// reports its faults; null if none is named and none of the usual places has a file.</summary>
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

    /// <param name="options">Keys at the top that the command line sets instead of the file, with the option's name.
    /// </param>
    public static ConfigResult Load(string path, Func<string, string?> environment,
        params ReadOnlySpan<(string Key, string Value, string Option)> options)
    {
        var report = new Report();
        List<SourceFile> files = [];
        foreach (string name in NamesOf(path, report))
        {
            if (FileReader.Read(name, report, out string fault) is { } bytes)
            {
                using var reader = new StreamReader(new MemoryStream(bytes), Encoding.UTF8); // understands a BOM
                files.Add(new(name, reader.ReadToEnd()));
            }
            else
            {
                report.Error(new SourceFile(name, null).Start, "", $"cannot read the configuration: {fault}");
            }
        }
        return Parse(path, files, report, environment, options);
    }

    /// <summary>Parses the text as JSON if the file name ends in <c>.json</c>, otherwise as YAML.</summary>
    public static ConfigResult Parse(string fileName, string text, Func<string, string?> environment) =>
        Parse(fileName, [new SourceFile(fileName, text)], new Report(), environment, []);

    /// <summary>Reads a configuration that was made of options.</summary>
    public static ConfigResult Of(ConfigNode options) => Read(null, options, new Report());

    private static IReadOnlyList<string> NamesOf(string path, Report report)
    {
        if (!Directory.Exists(path))
        {
            return [path];
        }
        string[]? names = FileReader.List(path, out string fault);
        report.Uses(FileReader.VersionOf(path, names, fault));
        if (names is not { Length: > 0 })
        {
            report.Error(new SourceFile(path, null).Start, "", "cannot read the configuration: "
                + (names is null ? fault : "this directory has no file whose name ends in .yaml, .yml or .json"));
        }
        return names ?? [];
    }

    /// <summary>Reads one backend in JSON, with the keys that it has in the file and <c>stored</c>. The text comes
    /// from a caller of the API, so it has no variables: they could show the caller the environment and files of this
    /// machine.</summary>
    public static (BackendConfig? Backend, IReadOnlyList<Diagnostic> Diagnostics) ParseBackend(string json)
    {
        var report = new Report();
        ConfigNode? root = JsonTree.Read(new SourceFile("body", json), report, variables: null);
        BackendConfig? backend = root is null ? null : ConfigField.Root(root, report).Section(
            static section => UpstreamKeys.AddedBackend.Read(section, UpstreamKeys.AddedBackend.Default));
        return (report.Errors > 0 ? null : backend, report.Diagnostics);
    }

    private static ConfigResult Parse(string path, IReadOnlyList<SourceFile> files, Report report,
        Func<string, string?> environment, ReadOnlySpan<(string Key, string Value, string Option)> options)
    {
        var variables = new Variables(environment, report);
        List<ConfigNode> roots = [];
        foreach (SourceFile file in files)
        {
            if ((file.Name.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
                ? JsonTree.Read(file, report, variables) : YamlTree.Read(file, report, variables)) is { } read)
            {
                roots.Add(TopologyReader.WithoutShortForm(read));
            }
        }
        return roots.Count > 0 && roots.Count == files.Count
            ? Read(path, ConfigMerge.Override(roots.Aggregate(ConfigMerge.Join), options), report)
            : new(null, report.Diagnostics) { Files = report.Files };
    }

    private static ConfigResult Read(string? path, ConfigNode root, Report report)
    {
        PenstockConfig? config = FileKeys.Read(root, report);
        return new(report.Errors > 0 ? null : config! with
        {
            File = path, Settings = SettingList.Of(root), Files = report.Files,
        }, report.Diagnostics) { Files = report.Files };
    }
}
