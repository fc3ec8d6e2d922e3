using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>A configuration of several files, and values from files.</summary>
public sealed class ConfigFilesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("penstock-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Files_of_a_directory_are_merged_in_the_order_of_their_names()
    {
        Write("10-base.yaml", """
            listen: [127.0.0.1:8081]
            limits: { default: { capacity: 10, rate: 1/s } }
            routes: [{ path: /a/*, upstream: a }]
            """);
        Write("20-a.yml", "upstreams: { a: { backends: [a:1] } }");
        Write("30-b.json", """
            { "upstreams": { "b": { "backends": ["b:1"] } }, "routes": [{ "upstream": "b" }],
              "limits": { "logins": { "capacity": 1, "rate": "1/s" } } }
            """);
        Write("40-empty.yaml", "# nothing yet");
        Write(".20-a.yml.swp", "not: yaml: at all");
        Write("README", "no configuration");

        ConfigResult result = ConfigLoader.Load(_folder.FullName, static _ => null);

        Assert.Empty(result.Diagnostics);
        Assert.Equal(["a", "b"], result.Config!.Proxy.Upstreams.Select(static upstream => upstream.Name));
        Assert.Equal(["/a/*", null], result.Config.Proxy.Routes.Select(static route => route.Path));
        Assert.Equal(["default", "logins"], result.Config.Proxy.Limits.Keys);
        Assert.Equal(5, result.Files.Count); // the directory and four files
    }

    [Fact]
    public void Short_form_of_an_upstream_is_merged_with_a_mapping()
    {
        Write("10.yaml", "upstreams: { web: [a:1] }");
        Write("20.yaml", "upstreams: { web: { backends: [b:1], balance: random } }");

        ConfigResult result = ConfigLoader.Load(_folder.FullName, static _ => null);

        Assert.Empty(result.Diagnostics);
        Assert.Equal(["a:1", "b:1"], Assert.Single(result.Config!.Proxy.Upstreams).Backends.Select(b => b.Address));
    }

    [Fact]
    public void Value_that_two_files_give_is_an_error_that_names_both()
    {
        Write("10.yaml", "limits:\n  default: { capacity: 10, rate: 1/s }\nbackends: [a:1]");
        string second = Write("20.yaml", "listen: :81\nlimits:\n  default: { capacity: 20 }");

        Diagnostic error = Assert.Single(ConfigLoader.Load(_folder.FullName, static _ => null).Diagnostics);

        Assert.Equal(("duplicate key 'capacity'", second, 3), (error.Message, error.File, error.Line));
        Assert.Equal($"the first is at {Path.Combine(_folder.FullName, "10.yaml")}:2", error.Hint);
        Assert.Equal("  default: { capacity: 20 }", error.SourceLine);
    }

    [Fact]
    public void Errors_of_all_files_are_reported_together()
    {
        Write("10.yaml", "backends: [a:1]\nweigth: 1");
        Write("20.json", "{ \"loops\": \"many\" }");
        Write("30.yaml", "just text");

        Assert.Equal(["10.yaml:2 unknown key 'weigth'", "20.json:1 loops: 'many' is not a number of loops",
            "30.yaml:1 the file: expected keys such as 'listen' and 'backends', found a value"],
            Loaded("10.yaml", "20.json").Append(Loaded("30.yaml").Single()));

        string[] Loaded(params string[] names)
        {
            foreach (FileInfo file in _folder.GetFiles().Where(file => !names.Contains(file.Name)))
            {
                file.MoveTo(file.FullName + ".off");
            }
            string[] all = [.. ConfigLoader.Load(_folder.FullName, static _ => null).Diagnostics
                .Select(static d => $"{Path.GetFileName(d.File)}:{d.Line} {d.Message}")];
            foreach (FileInfo file in _folder.GetFiles("*.off"))
            {
                file.MoveTo(file.FullName[..^4]);
            }
            return all;
        }
    }

    [Fact]
    public void Value_may_come_from_a_file_which_no_message_shows()
    {
        Write("token", "s3cret-text\n");
        Write("number", "s3cret-number");
        string path = Write("penstock.yaml", """
            backends: [a:1]
            admin: { token: "${file:token}" }
            """);

        Assert.Equal("s3cret-text", ConfigLoader.Load(path, static _ => null).Config!.Admin.Token);

        Write("penstock.yaml", "backends: [a:1]\nloops: \"${file:number}\"\nlisten: \"${file:absent}\"");
        IReadOnlyList<Diagnostic> faults = ConfigLoader.Load(path, static _ => null).Diagnostics;

        Assert.Equal(["loops: '***' is not a number of loops", "cannot read 'absent': there is no such file"],
            faults.Select(static d => d.Message));
        Assert.DoesNotContain("s3cret", string.Concat(faults));
    }

    [Fact]
    public void Every_file_that_was_read_has_a_version_that_changes_with_it()
    {
        Write("body.html", "<p>one</p>");
        Write("token", "one");
        string path = Write("penstock.yaml",
            "backends: [a:1]\nadmin: { token: \"${file:token}\" }\nerrors: { 503: { file: body.html } }");

        IReadOnlyList<FileVersion> read = ConfigLoader.Load(path, static _ => null).Files;
        Assert.Equal(["body.html", "penstock.yaml", "token"],
            read.Select(static file => Path.GetFileName(file.Path)).Order());
        Assert.All(read, static file => Assert.Equal(file, FileReader.VersionNow(file)));

        Write("token", "two");
        File.Delete(Path.Combine(_folder.FullName, "body.html"));
        Assert.Equal(["body.html", "token"], read.Where(static file => FileReader.VersionNow(file) != file)
            .Select(static file => Path.GetFileName(file.Path)).Order());
    }

    [Fact]
    public void Option_of_the_command_line_replaces_a_key_and_is_its_origin()
    {
        string path = Write("penstock.yaml", "backends: [a:1]\nloops: 7");

        PenstockConfig config = ConfigLoader.Load(path, static _ => null, ("loops", "2", "--loops")).Config!;

        Assert.Equal(2, config.Proxy.Loops);
        Assert.Equal("--loops", config.Settings.Single(static setting => setting.Name == "loops").Origin);
    }

    [Fact]
    public void Names_are_joined_exactly_and_a_key_that_one_file_has_twice_is_an_error()
    {
        Write("10.json", """
            { "$schema": "a", "x-a": 1, "upstreams": { "web-1": { "backends": ["a:1"] } },
              "plans": { "Gold": { "capacity": 1, "rate": "1/s" } } }
            """);
        Write("20.json", """
            { "$schema": "a", "x-a": 2, "upstreams": { "web_1": { "backends": ["b:1"] } },
              "plans": { "gold": { "capacity": 2, "rate": "1/s" } },
              "routes": [{ "path": "/a", "upstream": "web_1" }, { "upstream": "web-1" }] }
            """);

        ConfigResult result = ConfigLoader.Load(_folder.FullName, static _ => null);
        Assert.Empty(result.Diagnostics);
        Assert.Equal(["web-1", "web_1"], result.Config!.Proxy.Upstreams.Select(static upstream => upstream.Name));
        Assert.Equal(["Gold", "gold"], result.Config.Plans.Keys);

        Write("30.yaml", "upstreams:\n  web-1: { backends: [c:1] }\n  web-1: { backends: [d:1] }");
        Assert.Equal("duplicate key 'web-1'",
            Assert.Single(ConfigLoader.Load(_folder.FullName, static _ => null).Diagnostics).Message);
    }

    [Fact]
    public void File_that_became_too_long_or_a_directory_has_one_version()
    {
        Write("token", new string('a', 100 * 1024));
        string path = Write("penstock.yaml", "backends: [a:1]\nadmin: { token: \"${file:token}\" }");
        IReadOnlyList<FileVersion> read = ConfigLoader.Load(path, static _ => null).Files;
        Assert.All(read, static file => Assert.Equal(file, FileReader.VersionNow(file)));

        File.Delete(Path.Combine(_folder.FullName, "token"));
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "token"));
        read = ConfigLoader.Load(path, static _ => null).Files;
        Assert.All(read, static file => Assert.Equal(file, FileReader.VersionNow(file)));
    }

    [Theory]
    [InlineData("admin: { token: \"${file:empty}\" }", "the file of the token is empty")]
    [InlineData("errors: { 429: { file: \"a\\0b\" } }", "cannot read")]
    public void Fault_of_a_file_is_reported(string line, string expected)
    {
        Write("empty", " \n");
        string path = Write("penstock.yaml", $"backends: [a:1]\n{line}");

        Assert.Contains(expected, Assert.Single(ConfigLoader.Load(path, static _ => null).Diagnostics).Message);
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }
}
