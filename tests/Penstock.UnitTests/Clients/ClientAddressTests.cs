using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.Clients;
using Penstock.UnitTests.Http1;
using Xunit;

namespace Penstock.UnitTests.Clients;

public sealed class ClientAddressTests
{
    [Theory]
    [InlineData("192.0.2.1", 64, "192.0.2.1", "192.0.2.1")]
    [InlineData("::ffff:192.0.2.1", 64, "192.0.2.1", "192.0.2.1")]
    [InlineData("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")]
    [InlineData("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6")]
    [InlineData("2001:db8:ffff::1", 36, "2001:db8:ffff::1", "2001:db8:f000::/36")]
    [InlineData("ffff::", 1, "ffff::", "8000::/1")]
    public void Address_has_a_text_and_a_client_name(string address, int prefix, string text, string name)
    {
        var client = new ClientAddress(new IPEndPoint(IPAddress.Parse(address), 1234), prefix);
        Assert.Equal(text, Bytes.Text(client.Text));
        Assert.Equal(name, Bytes.Text(client.ClientName));
    }

    [Fact]
    public void Address_of_a_unix_socket_is_unix()
    {
        var client = new ClientAddress(new UnixDomainSocketEndPoint("/x"), 64);
        Assert.Null(client.Ip);
        Assert.Equal("unix", Bytes.Text(client.Text));
        Assert.Equal("unix", Bytes.Text(client.ClientName));
    }
}
