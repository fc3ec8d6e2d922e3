using System.Diagnostics;
using System.Text.RegularExpressions;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Documents;

/// <summary>Runs the blocks of a page in <c>stage.sh</c>: shell commands as they are, configurations by
/// <c>penstock check</c>.</summary>
internal static partial class Stage
{
    private const int MatchTimeoutMs = 5000;

    private static readonly string Scripts = Path.Combine(Repository.Root,
        "tests", "Penstock.IntegrationTests", "Documents");

    /// <summary>Words of commands, and the programs that they need.</summary>
    private static readonly (string Word, string Program)[] Tools =
    [
        ("curl", "curl"), ("jq", "jq"), ("openssl", "openssl"), ("certificate", "openssl"), ("promtool", "promtool"),
        ("ab", "ab"), ("make", "make"), ("make", "wrk"), ("man", "groff"), ("postgres", "psql"),
        ("postgres_server", "psql"),
    ];

    /// <summary>Why there is no stage on this machine; null if there is.</summary>
    public static string? Obstacle { get; } = OperatingSystem.IsLinux() && Environment.UserName == "root"
        && HasNamespaces() ? null
        : "commands of documents run in a network and mounts of their own, which need root and its permissions";

    /// <summary>The native program if there is one, because it starts faster.</summary>
    private static string[] Program => Environment.GetEnvironmentVariable("PENSTOCK_NATIVE") is { Length: > 0 } native
        ? [native] : ["dotnet", PenstockProcess.Program];

    /// <summary>A program that the page uses and this machine does not have; null if it has all.</summary>
    public static string? MissingTool(string page, IReadOnlyList<Block> blocks)
    {
        string text = string.Concat(blocks.Select(static block => block.Text + string.Concat(block.Notes.Values)))
            + (File.Exists(ScriptOf(page)) ? File.ReadAllText(ScriptOf(page)) : "");
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        return Tools.Where(tool => Regex.IsMatch(text, $@"\b{tool.Word}\b", RegexOptions.None,
                TimeSpan.FromMilliseconds(MatchTimeoutMs)))
            .Select(static tool => tool.Program)
            .FirstOrDefault(program => !folders.Any(folder => File.Exists(Path.Combine(folder, program))));
    }

    /// <returns>For each block what went wrong; empty if nothing did.</returns>
    public static async Task<List<string>> RunAsync(string page, IReadOnlyList<Block> blocks)
    {
        string folder = Directory.CreateTempSubdirectory("penstock-page-").FullName;
        try
        {
            for (int i = 0; i < blocks.Count; i++)
            {
                await File.WriteAllTextAsync(Path.Combine(folder, $"{i:d3}.sh"), Script(blocks[i], i));
                await File.WriteAllTextAsync(Path.Combine(folder, $"{i:d3}.txt"), Framed(blocks[i]));
            }
            string said = await PlayAsync(page, folder);
            var faults = new List<string>();
            if (blocks.Count > 0 && !File.Exists(Path.Combine(folder, "000.code")))
            {
                return [$"{page}: the stage could not be prepared\n{said}"];
            }
            string before = "";
            for (int i = 0; i < blocks.Count; i++)
            {
                string name = Path.Combine(folder, $"{i:d3}");
                string code = File.Exists(name + ".code") ? (await File.ReadAllTextAsync(name + ".code")).Trim()
                    : "none";
                string output = File.Exists(name + ".out") ? await File.ReadAllTextAsync(name + ".out") : "";
                if (IsShownOutput(blocks[i]))
                {
                    string real = blocks[i].Notes["output"].Length > 0 ? output : before;
                    faults.AddRange(ShownOutput.Differences(blocks[i], real)
                        .Select(fault => $"{blocks[i].Place}: {fault}\nThe output is\n{real}"));
                }
                else if (code != blocks[i].ExitCode.ToString(null, null))
                {
                    faults.Add($"{blocks[i].Place}: exit code {code}\n{blocks[i].Text}\nThe output is\n{output}");
                }
                else if (blocks[i].ExitCode == 0 && blocks[i].Language == "yaml"
                    && output.Contains("warning: ", StringComparison.Ordinal))
                {
                    faults.Add($"{blocks[i].Place}: the example has a warning\n{output}");
                }
                before = IsShownOutput(blocks[i]) ? before : output;
            }
            return faults;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    public static bool IsShownOutput(Block block) => block.Notes.ContainsKey("output");

    private static string Script(Block block, int index)
    {
        string first = block.Notes.TryGetValue("first", out string? function) ? function + "\n" : "";
        string file = $"\"$folder/{index:d3}.txt\"";
        return first + (IsShownOutput(block), block.Language) switch
        {
            (true, _) => block.Notes["output"] + "\n",
            (_, "sh") => block.Text,
            (_, "sql") => $"psql -XAtq -v ON_ERROR_STOP=1 \"$DATABASE\" -f {file}\n",
            (_, "json") => $"jq . {file}\n",
            (_, "jsonc") => $"cp {file} penstock.json; penstock check penstock.json\n",
            (_, "yaml") when block.Notes.TryGetValue("checked by", out string? tool) =>
                $"cp {file} checked.yaml; {tool} checked.yaml\n",
            (_, "yaml" or "yml") => $"cp {file} penstock.yaml; penstock check penstock.yaml\n",
            _ => throw new InvalidDataException($"{block.Place}: nobody knows how to run '{block.Language}'"),
        };
    }

    /// <summary>A part of a configuration gets what makes it a whole one: backends, and listeners for certificates.
    /// </summary>
    private static string Framed(Block block)
    {
        string text = block.Text;
        if (block.Language != "yaml" || block.Notes.ContainsKey("checked by") || HasBackends().IsMatch(text))
        {
            return text;
        }
        string[] upstreams = [.. Upstream().Matches(text).Select(static m => m.Groups["name"].Value).Distinct()];
        text += upstreams.Length == 0 ? "backends: [127.0.0.1:9001]\n"
            : "upstreams:\n" + string.Concat(upstreams.Select(static name =>
                $"  {name}: {{ backends: [127.0.0.1:9001] }}\n"));
        return text.Contains("  acme:", StringComparison.Ordinal) && !text.Contains("listen:", StringComparison.Ordinal)
            ? text + "listen: [0.0.0.0:80, { address: 0.0.0.0:443, tls: { redirect_from: 80 } }]\n" : text;
    }

    private static bool HasNamespaces()
    {
        using Process process = Process.Start(new ProcessStartInfo("unshare",
            ["--net", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "try", "/mnt"])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
        })!;
        process.WaitForExit();
        return process.ExitCode == 0;
    }

    private static string ScriptOf(string page) =>
        Path.Combine(Scripts, "Stages", Path.ChangeExtension(Path.GetFileName(page), ".sh"));

    private static async Task<string> PlayAsync(string page, string folder)
    {
        using Process process = Process.Start(new ProcessStartInfo("unshare",
            ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash",
            Path.Combine(Scripts, "stage.sh"), Repository.Root, folder, ScriptOf(page), .. Program])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return await output + await error;
    }

    [GeneratedRegex("^(backends|upstreams):", RegexOptions.Multiline | RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex HasBackends();

    [GeneratedRegex(@"\bupstream: (?<name>\w+)", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Upstream();
}
