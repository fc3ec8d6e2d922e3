using System.IO.Compression;
using System.Text.Json;
using System.Text.RegularExpressions;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Smoke;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Deploy;

/// <summary>The Debian package: what is in it and what it asks for. deploy/debian/try.sh installs it.</summary>
public sealed partial class DebianPackageTests(BuiltPackage package) : IClassFixture<BuiltPackage>
{
    private const int MatchTimeoutMs = 1000;

    private static readonly string[] Content =
    [
        "-rw-r--r-- /etc/logrotate.d/penstock",
        "-rw-r--r-- /etc/penstock/penstock.yaml",
        "-rw-r--r-- /lib/systemd/system/penstock.service",
        "-rw-r--r-- /usr/lib/penstock/libe_sqlite3.so",
        "-rwxr-xr-x /usr/lib/penstock/penstock",
        "-rw-r--r-- /usr/share/bash-completion/completions/penstock",
        "-rw-r--r-- /usr/share/doc/penstock/THIRD-PARTY-NOTICES.gz",
        "-rw-r--r-- /usr/share/doc/penstock/changelog.Debian.gz",
        "-rw-r--r-- /usr/share/doc/penstock/changelog.gz",
        "-rw-r--r-- /usr/share/doc/penstock/configuration.md",
        "-rw-r--r-- /usr/share/doc/penstock/copyright",
        "-rw-r--r-- /usr/share/fish/vendor_completions.d/penstock.fish",
        "-rw-r--r-- /usr/share/lintian/overrides/penstock",
        "-rw-r--r-- /usr/share/man/man1/penstock.1.gz",
        "-rw-r--r-- /usr/share/zsh/vendor-completions/_penstock",
        "lrwxrwxrwx /usr/bin/penstock",
    ];

    [Fact]
    public void Files_have_their_modes_and_belong_to_root()
    {
        string[][] rows = [.. package.Query("--contents")
            .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))];

        Assert.All(rows, static row => Assert.Equal("root/root", row[1]));
        Assert.All(rows.Where(static row => row[0][0] == 'd'), static row => Assert.Equal("drwxr-xr-x", row[0]));
        Assert.Equal(Content.Order(StringComparer.Ordinal), rows.Where(static row => row[0][0] != 'd')
            .Select(static row => $"{row[0]} {row[5][1..]}").Order(StringComparer.Ordinal));
    }

    /// <summary>The licences of all libraries ask for their notices.</summary>
    [Fact]
    public void Notices_name_every_library_of_the_program()
    {
        using var packed = new GZipStream(
            File.OpenRead(Path.Combine(package.Unpacked(), "usr/share/doc/penstock/THIRD-PARTY-NOTICES.gz")),
            CompressionMode.Decompress);
        string notices = new StreamReader(packed).ReadToEnd();
        using var built = JsonDocument.Parse(
            File.ReadAllText(Path.ChangeExtension(PenstockProcess.Program, ".deps.json")));
        string[] libraries = [.. built.RootElement.GetProperty("libraries").EnumerateObject()
            .Where(static library => library.Value.GetProperty("type").GetString() == "package")
            .Select(static library => library.Name.Replace('/', ' '))];

        Assert.True(libraries.Length > 10);
        Assert.All(libraries, library => Assert.Contains($"\n{library}, ", notices));
        Assert.Contains(".NET runtime and ASP.NET Core", notices);
        Assert.Contains("COPYRIGHT HOLDER HAS NO OBLIGATIONS TO PROVIDE MAINTENANCE", notices);
    }

    [Fact]
    public void What_an_operator_edits_survives_an_upgrade() =>
        Assert.Equal(["/etc/logrotate.d/penstock", "/etc/penstock/penstock.yaml"], package.Control("conffiles"));

    [Fact]
    public void Fields_name_the_version_and_every_library_that_the_program_loads()
    {
        Dictionary<string, string> fields = package.Control("control")
            .Where(static line => line[0] != ' ').Select(static line => line.Split(": ", 2))
            .ToDictionary(static pair => pair[0], static pair => pair[1]);
        string program = Flavour.Program("native");
        IEnumerable<string> libraries = Library().Matches(BuiltPackage.Output("ldd", program)
            + BuiltPackage.Output("ldd", Path.Combine(Path.GetDirectoryName(program)!, "libe_sqlite3.so")))
            .Select(static match => match.Groups["name"].Value).Distinct();

        Assert.Equal(("penstock", BuiltPackage.Version, "amd64"),
            (fields["Package"], fields["Version"], fields["Architecture"]));
        Assert.Empty(libraries.Except(["libc.so.6", "libm.so.6"])); // of libc6; OpenSSL is loaded by name
        Assert.Equal("adduser, libc6 (>= 2.34), libssl3 (>= 3.0.0) | libssl3t64, procps", fields["Depends"]);
        Assert.InRange(int.Parse(fields["Installed-Size"], null), 10_000, 100_000);
    }

    [Fact]
    public void Program_and_unit_and_texts_in_it_are_of_this_build()
    {
        string root = package.Unpacked();
        string program = Path.Combine(root, "usr", "bin", "penstock");
        using var manual = new StreamReader(new GZipStream(
            File.OpenRead(Path.Combine(root, "usr/share/man/man1/penstock.1.gz")), CompressionMode.Decompress));

        Assert.Matches(@"^penstock .* \(native, ", BuiltPackage.Output(program, "version"));
        Assert.Contains("is valid", BuiltPackage.Output(program, "check",
            Path.Combine(root, "etc/penstock/penstock.yaml")), StringComparison.Ordinal);
        Assert.Contains(".TH PENSTOCK 1", manual.ReadToEnd(), StringComparison.Ordinal);
        Assert.Contains("_penstock", File.ReadAllText(
            Path.Combine(root, "usr/share/bash-completion/completions/penstock")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("postinst")]
    [InlineData("prerm")]
    [InlineData("postrm")]
    public void Script_is_one_that_the_shell_of_Debian_reads(string name) =>
        BuiltPackage.Output("sh", "-n", DeployFiles.PathOf("debian/" + name));

    [Fact]
    public void Unit_runs_commands_that_exist_on_the_files_of_the_package()
    {
        PenstockConfig config = DeployFiles.Config("debian/penstock.yaml");
        string[] commands = [.. Unit("ExecStart"), .. Unit("ExecReload").Where(static line =>
            line.StartsWith("/usr/bin/penstock", StringComparison.Ordinal))];

        Assert.Equal(2, commands.Length);
        Assert.All(commands, static line =>
        {
            string[] words = line.Split(' ');
            Assert.Contains(Content, row => row.EndsWith(' ' + words[0], StringComparison.Ordinal));
            Assert.Contains(Content, row => row.EndsWith(' ' + words[^1], StringComparison.Ordinal));
            DeployFiles.Parse(words[1..]);
        });
        Assert.True(DeployFiles.Seconds(Unit("TimeoutStopSec").Single()) >= DeployFiles.StopTime(config));
        Assert.Equal($"{ExitCode.Usage}", Unit("RestartPreventExitStatus").Single());
    }

    [Fact]
    public void Unit_may_write_where_the_configuration_writes()
    {
        PenstockConfig config = DeployFiles.Config("debian/penstock.yaml");
        string log = config.Proxy.AccessLog.To.Address;

        Assert.Equal($"sqlite:/var/lib/{Unit("StateDirectory").Single()}/penstock.db", config.Store);
        Assert.Equal($"/var/log/{Unit("LogsDirectory").Single()}/access.log", log);
        Assert.Contains($"{Path.GetDirectoryName(log)}/*.log {{", DeployFiles.Lines("debian/logrotate"));
    }

    private static IEnumerable<string> Unit(string key) => DeployFiles.Lines("penstock.service")
        .Where(line => line.StartsWith(key + "=", StringComparison.Ordinal)).Select(line => line[(key.Length + 1)..]);

    [GeneratedRegex(@"^\s*(?<name>lib\S+) =>", RegexOptions.ExplicitCapture | RegexOptions.Multiline, MatchTimeoutMs)]
    private static partial Regex Library();
}
