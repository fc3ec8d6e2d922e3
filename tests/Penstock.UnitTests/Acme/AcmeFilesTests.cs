using Penstock.Control.Acme;
using Xunit;

namespace Penstock.UnitTests.Acme;

/// <summary>What is special about files; what all storages do is in AcmeStorageContract.</summary>
public sealed class AcmeFilesTests : IDisposable
{
    private const string Ca = "https://ca.example/directory";

    private readonly string _parent = Directory.CreateTempSubdirectory("penstock-test-").FullName;

    private string Folder => Path.Combine(_parent, "acme");

    public void Dispose() => Directory.Delete(_parent, recursive: true);

    [Fact]
    public void Files_are_for_the_owner_only_in_a_folder_for_each_ca()
    {
        using var files = new AcmeFiles(Folder);

        files.Write(new(Ca, "a.example.pem"), "one");
        files.Write(new("https://ca.example:8443/directory", "a.example.pem"), "other");
        Assert.True(files.TryLead());

        Assert.Equal("one", File.ReadAllText(Path.Combine(Folder, "ca.example%2Fdirectory", "a.example.pem")));
        Assert.Equal("other",
            File.ReadAllText(Path.Combine(Folder, "ca.example%3A8443%2Fdirectory", "a.example.pem")));
        string[] all = Directory.GetFiles(Folder, "*", SearchOption.AllDirectories);
        Assert.Equal(3, all.Length);
        Assert.All(all, static file =>
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
        Assert.All([Folder, .. Directory.GetDirectories(Folder)], static folder => Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder)));
    }

    [Fact]
    public void What_a_killed_process_left_half_written_is_neither_read_nor_in_the_way()
    {
        using var files = new AcmeFiles(Folder);
        var item = new AcmeItem(Ca, "a.example.pem");
        files.Write(item, "old");
        File.WriteAllText(Path.Combine(Folder, "ca.example%2Fdirectory", "a.example.pem.new"), "hal");

        Assert.Equal("old", files.Read([item])[item]);
        files.Write(item, "new");
        Assert.Equal("new", files.Read([item])[item]);
        Assert.Single(Directory.GetFiles(Folder, "*", SearchOption.AllDirectories));
    }

    /// <summary>A reader that comes at any moment finds the whole old text or the whole new one.</summary>
    [Fact]
    public async Task Reader_never_sees_a_part()
    {
        using var files = new AcmeFiles(Folder);
        var item = new AcmeItem(Ca, "a.example.pem");
        string[] texts = [new('a', 100_000), new('b', 200_000)];
        files.Write(item, texts[0]);
        Task writing = Task.Run(() =>
        {
            for (int i = 0; i < 30; i++)
            {
                files.Write(item, texts[i % 2]);
            }
        });

        while (!writing.IsCompleted)
        {
            Assert.Contains(files.Read([item])[item], texts);
        }
        await writing;
    }

    [Fact]
    public void Folder_that_cannot_be_used_is_named_with_the_cause()
    {
        File.WriteAllText(Folder, "a file");
        using var files = new AcmeFiles(Folder);

        AcmeException fault = Assert.Throws<AcmeException>(() => files.Write(new(Ca, "a"), "b"));
        Assert.StartsWith($"the folder {Folder} cannot be used: ", fault.Message);
        Assert.Throws<AcmeException>(() => files.TryLead());
    }

    [Theory]
    [InlineData("sqlite:/data/penstock.db", "", "/data/acme")]
    [InlineData("sqlite:/data/penstock.db", "/keys", "/keys")]
    [InlineData("sqlite:penstock.db", "", "acme")]
    [InlineData("memory", "", "acme")]
    public void Folder_is_beside_the_store(string store, string setting, string expected)
    {
        using IAcmeStorage storage = AcmeStorages.Open(store, setting);

        Assert.Equal($"the folder {Path.GetFullPath(expected)}", storage.Name);
    }
}
