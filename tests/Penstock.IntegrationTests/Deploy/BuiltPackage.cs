using System.Diagnostics;
using Penstock.IntegrationTests.Smoke;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Deploy;

/// <summary>The Debian package of the native program, built once for all tests of a class.</summary>
public sealed class BuiltPackage : IDisposable
{
    public const string Version = "1.2.3~test";

    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
    private readonly Lock _lock = new();
    private string? _file;

    /// <summary>The test is skipped if there is no native program.</summary>
    public string File()
    {
        string program = Flavour.Program("native");
        lock (_lock)
        {
            if (_file is null)
            {
                string file = Path.Combine(_folder, "penstock_amd64.deb");
                Output(Path.Combine(Repository.Root, "deploy", "debian", "build.sh"),
                    Path.GetDirectoryName(program)!, file, Version);
                _file = file;
            }
            return _file;
        }
    }

    /// <summary>What <c>dpkg-deb</c> prints, line by line.</summary>
    public string[] Query(string option, params string[] more) =>
        Output("dpkg-deb", [option, File(), .. more]).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The content of a file in the control part.</summary>
    public string[] Control(string name) => Query("--info", name);

    /// <summary>Puts the files of the package into a folder.</summary>
    public string Unpacked()
    {
        string folder = Path.Combine(_folder, "unpacked");
        Output("dpkg-deb", "--extract", File(), folder);
        return folder;
    }

    /// <summary>What a program prints; it must succeed.</summary>
    public static string Output(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {errors.Result}{output}");
        return output;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
