using System.Net;
using Penstock.Proxy;
using Xunit;

namespace Penstock.UnitTests.Clients;

public sealed class AddressTextTests
{
    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1")]
    [InlineData("0.0.0.0", "0.0.0.0")]
    [InlineData("255.255.255.255", "255.255.255.255")]
    [InlineData("2001:DB8::1", "2001:db8::1")]
    [InlineData("2001:0db8:0:0:0:0:0:1", "2001:db8::1")]
    [InlineData("::ffff:192.0.2.1", "192.0.2.1")]
    [InlineData("::ffff:c000:201", "192.0.2.1")]
    [InlineData("::", "::")]
    public void Address_is_read_in_every_spelling_that_all_programs_read_alike(string text, string address)
    {
        Assert.True(AddressText.TryParse(text, out IPAddress? parsed));
        Assert.Equal(address, parsed.ToString());
    }

    [Theory]
    [InlineData("42")]
    [InlineData("1001")]
    [InlineData("1.2")]
    [InlineData("1.2.3")]
    [InlineData("010.0.0.1")]
    [InlineData("10.0.0.01")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("0x7f000001")]
    [InlineData("1.2.3.4.5")]
    [InlineData("1.2.3.256")]
    [InlineData("1.2.3.999")]
    [InlineData("1.2.3.")]
    [InlineData("1.2.3.4 ")]
    [InlineData(" 1.2.3.4")]
    [InlineData("1.2.3.4:80")]
    [InlineData("\u0661.2.3.4")]
    [InlineData("[::1]")]
    [InlineData("[::1]:80")]
    [InlineData("fe80::1%eth0")]
    [InlineData("fe80::1%1")]
    [InlineData("::ffff:192.0.2.01")]
    [InlineData("::ffff:0300.0.2.1")]
    [InlineData("1::2::3")]
    [InlineData("12345::")]
    [InlineData(":")]
    [InlineData("")]
    [InlineData("unix")]
    public void Text_that_only_the_frameworks_parser_takes_is_no_address(string text)
    {
        Assert.False(AddressText.TryParse(text, out _));
        Assert.Null(AddressText.Canonical(text));
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1")]
    [InlineData("192.0.2.1/32", "192.0.2.1")]
    [InlineData("192.0.2.77/24", "192.0.2.0/24")]
    [InlineData("0.0.0.0/0", "0.0.0.0/0")]
    [InlineData("::ffff:192.0.2.9", "192.0.2.9")]
    [InlineData("::ffff:10.0.0.0/104", "10.0.0.0/8")]
    [InlineData("2001:db8:0::1/64", "2001:db8::/64")]
    [InlineData("2001:DB8::1/128", "2001:db8::1")]
    [InlineData("::/0", "::/0")]
    [InlineData("192.0.2.0/33", null)]
    [InlineData("192.0.2.0/024", null)]
    [InlineData("192.0.2.0/", null)]
    [InlineData("192.0.2.0/-1", null)]
    [InlineData("1.2/16", null)]
    [InlineData("010.0.0.0/8", null)]
    [InlineData("::/129", null)]
    [InlineData("a/8", null)]
    public void Canonical_form_is_what_clients_are_called(string text, string? canonical) =>
        Assert.Equal(canonical, AddressText.Canonical(text));

    [Theory]
    [InlineData("fe80::1%1", true)]
    [InlineData("::1", true)]
    [InlineData("10.0.0.1", true)]
    [InlineData("10.0.0.1%1", false)]
    [InlineData("010.0.0.1", false)]
    [InlineData("[::1]", false)]
    public void Zone_is_taken_where_one_listens_or_connects(string text, bool taken) =>
        Assert.Equal(taken, AddressText.TryParseScoped(text, out _));
}
