using Penstock.Commands;
using Xunit;

namespace Penstock.UnitTests.Commands;

/// <summary>What commands say about files, also where only a system that is set up for it would show the fault: root
/// may read everything, and no disk here is read-only.</summary>
public sealed class CommandFileTests
{
    [Theory]
    [InlineData(28, "the disk is full")]
    [InlineData(30, "the file system is read-only")]
    [InlineData(122, "the quota of the disk is used up")]
    [InlineData(5, "Input/output error")]
    public void Fault_of_the_disk_is_told_in_words(int error, string cause)
    {
        var failure = new IOException("Input/output error : '/data/x.csv'", error);

        Assert.Equal($"cannot write /data/x.csv: {cause}", CommandFile.CannotWrite("/data/x.csv", failure));
    }

    [Fact]
    public void Missing_permission_is_told_in_words()
    {
        var failure = new UnauthorizedAccessException("Access to the path '/data/x.csv' is denied.");

        Assert.Equal("cannot read /data/x.csv: permission is denied", CommandFile.CannotRead("/data/x.csv", failure));
        Assert.Equal("cannot open /data/x.csv: permission is denied", CommandFile.Sentence(failure));
    }

    [Fact]
    public void Missing_file_or_folder_is_told_in_words()
    {
        Assert.Equal("cannot read /no/x: there is no such file", CommandFile.CannotRead("/no/x",
            new DirectoryNotFoundException()));
        Assert.Equal("cannot write /no/x: there is no such folder", CommandFile.CannotWrite("/no/x",
            new DirectoryNotFoundException()));
        Assert.Equal("cannot read '': there is no such file",
            Assert.Throws<IOException>(() => CommandFile.Read("")).Message);
    }

    [Fact]
    public async Task File_that_a_command_opens_by_itself_is_named_too()
    {
        CommandRun missing = await CommandRun.Of("config", "convert", "--from", "nginx", "/tmp/no-such.conf");
        CommandRun folder = await CommandRun.Of("config", "init", "/nowhere/penstock.yaml");

        Assert.Equal("error: cannot read /tmp/no-such.conf: there is no such file\n", missing.Error);
        Assert.Equal("error: cannot write /nowhere/penstock.yaml: there is no such folder\n", folder.Error);
    }
}
