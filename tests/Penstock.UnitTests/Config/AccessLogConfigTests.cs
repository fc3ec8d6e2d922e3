using Xunit;

namespace Penstock.UnitTests.Config;

public sealed class AccessLogConfigTests
{
    [Theory]
    [InlineData("access_log: stdot", "5:13+5 access_log: unknown value 'stdot' | did you mean 'stdout'? | access_log")]
    [InlineData("access_log: sylog:udp://h", "5:13+13 access_log: unknown value 'sylog:udp://h' | write stdout or "
        + "off or /path or syslog:udp://host:514 or false | access_log")]
    [InlineData("access_log: syslog:tcp://h", "5:13+14 access_log: 'syslog:tcp://h' is not a syslog target | write "
        + "syslog:unix:/dev/log or syslog:udp://host:514 | access_log")]
    [InlineData("access_log: syslog:udp://h:0", "5:13+16 access_log: 'syslog:udp://h:0' does not name a server | write "
        + "syslog:unix:/dev/log or syslog:udp://host:514 | access_log")]
    [InlineData("access_log: { format: jsn }",
        "5:23+3 format: unknown format 'jsn' | did you mean 'json'? | access_log.format")]
    [InlineData("access_log: { format: '%h %l' }", "5:23+7 format: unknown format '%h %l' | write json, combined, or a "
        + "text with variables such as $status | access_log.format")]
    [InlineData("access_log: { format: '$methd $status' }",
        "5:23+16 format: no variable is named '$methd' | did you mean 'method'? | access_log.format")]
    [InlineData("access_log: { format: \"$path\\nx\" }",
        "5:23+10 format: a line cannot have line breaks or control characters | write a space or a tab instead | "
        + "access_log.format")]
    [InlineData("access_log: { format: $path$path$path$path$host$host }", "5:23+30 format: a line could have 73741 "
        + "bytes, more than 65536 | use fewer variables | access_log.format")]
    [InlineData("access_log: { only: { status: 600 } }", "5:31+3 status: '600' is not a status | write 204, 200-299 or "
        + "2xx, from 100 to 599 | access_log.only.status")]
    [InlineData("access_log: { sample: { 429: 100 } }", "5:30+3 429: '100' is not a share of the requests | write "
        + "1/2 to 1/1000000 | access_log.sample.429")]
    [InlineData("access_log: { sample: { 4xx: 1/9, 400-499: 1/8 } }",
        "5:44+3 duplicate status '400-499' | the first is on line 5 | access_log.sample.400-499")]
    [InlineData("access_log: { sample: { any: 1/9 } }", "5:25+3 'any' is not a status | write 204, 200-299 or 2xx, "
        + "from 100 to 599 | access_log.sample")]
    public void Fault_is_reported(string line, string expected) => Assert.Equal("error " + expected,
        Assert.Single(ConfigText.Faults($"""
            upstreams:
              web:
                backends: ["a:1"]
            routes: [{"{ upstream: web }"}]
            {line}
            """)));
}
