using System.Net.Sockets;
using Penstock.Proxy.Connections;
using Xunit;

namespace Penstock.UnitTests.Connections;

public sealed class UnixSocketFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-").FullName;

    private string Path => System.IO.Path.Combine(_folder, "s");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("precious")]
    [InlineData("")] // a lock file or a mark says something by being there
    public void File_that_is_no_socket_stays(string content)
    {
        File.WriteAllText(Path, content);
        UnixSocketFile.RemoveIfStale(Path);
        Assert.Equal(content, File.ReadAllText(Path));

        var address = new UnixDomainSocketEndPoint(Path);
        Assert.Throws<SocketException>(() => Listener.BindEach(address, loops: 1));
        Assert.Equal(content, File.ReadAllText(Path));
    }

    [Fact]
    public void Folder_and_link_stay()
    {
        Directory.CreateDirectory(Path);
        UnixSocketFile.RemoveIfStale(Path);
        Assert.True(Directory.Exists(Path));

        string link = Path + ".link";
        File.CreateSymbolicLink(link, Path + ".nowhere");
        UnixSocketFile.RemoveIfStale(link);
        Assert.NotNull(new FileInfo(link).LinkTarget);
    }

    [Fact]
    public void Socket_that_nobody_listens_on_goes_and_its_path_can_be_used_again()
    {
        StaleSocket.Leave(Path);
        using Socket listening = Assert.Single(Listener.BindEach(new UnixDomainSocketEndPoint(Path), loops: 1));
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(new UnixDomainSocketEndPoint(Path));
    }

    [Fact]
    public void Socket_that_somebody_listens_on_stays()
    {
        using Socket listening = Assert.Single(Listener.BindEach(new UnixDomainSocketEndPoint(Path), loops: 1));
        UnixSocketFile.RemoveIfStale(Path);
        Assert.True(File.Exists(Path));
        Assert.Throws<SocketException>(() => Listener.BindEach(new UnixDomainSocketEndPoint(Path), loops: 1));
    }

    [Fact]
    public void Nothing_there_is_no_fault() => UnixSocketFile.RemoveIfStale(Path);
}
