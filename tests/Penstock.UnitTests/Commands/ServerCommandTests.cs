using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Xunit;

namespace Penstock.UnitTests.Commands;

public sealed partial class ServerCommandTests
{
    [Fact]
    public async Task Proxy_banner_says_what_goes_where_under_which_limit_in_ten_lines()
    {
        CommandRun run = await CommandRun.OfServer(
        [
            "proxy", "--to", "http://127.0.0.1:9001", "--to", "127.0.0.1:9002", "--listen", "127.0.0.1:0",
            "--admin", "off", "--rate", "30/m", "--capacity", "20",
        ],
            banner =>
            {
                Assert.InRange(banner.Trim().Split('\n').Length, 5, 10);
                Assert.Contains("http://127.0.0.1:", banner);
                Assert.Contains("20 requests at once, then 30/m", banner);
                Assert.Contains("kept in memory", banner);
                return Task.CompletedTask;
            });

        Assert.Equal("", run.Error);
        Assert.Equal(0, run.Code);
    }

    [Fact]
    public async Task Configuration_in_force_names_the_options_that_made_it()
    {
        CommandRun run = await CommandRun.OfServer(
        [
            "proxy", "--to", "127.0.0.1:9001", "--balance", "p2c", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
        ],
            async banner =>
            {
                using var http = new HttpClient();
                string config = await http.GetStringAsync(new Uri(new(Url().Matches(banner)[1].Value), "/config"));
                Assert.Contains("""{"key":"upstreams.default.balance","value":"p2c","origin":"--balance"}""", config);
                Assert.Contains("""{"key":"store","value":"memory","origin":"default"}""", config);
                Assert.Contains("""{"key":"timeouts.connect","value":"2s","origin":"default"}""", config);
            });

        Assert.Equal(("", 0), (run.Error, run.Code));
    }

    [Fact]
    public async Task Options_that_contradict_each_other_are_reported_like_a_file()
    {
        CommandRun run = await CommandRun.Of(
            "proxy", "--to", "127.0.0.1:9001", "--listen", "127.0.0.1:9801", "--admin", "127.0.0.1:9801");

        Assert.Equal(2, run.Code);
        Assert.Contains("error: admin and a listener cannot share 127.0.0.1:9801", run.Error);
        Assert.Contains("--admin", run.Error);
    }

    [Fact]
    public async Task Demo_without_limits_has_none_for_load_tests()
    {
        CommandRun run = await CommandRun.OfServer(
            ["demo", "--no-limits", "--listen", "127.0.0.1:0", "--admin", "off", "--backends", "1"], async banner =>
            {
                using var http = new HttpClient();
                string url = Url().Match(banner).Value;
                for (int i = 0; i < 150; i++)
                {
                    Assert.True((await http.GetAsync(url)).IsSuccessStatusCode);
                }
            });

        Assert.Equal(0, run.Code);
    }

    [Fact]
    public async Task Demo_leaves_no_file_behind()
    {
        string store = "";

        CommandRun run = await CommandRun.OfServer(["demo", "--listen", "127.0.0.1:0", "--admin", "off"], banner =>
        {
            store = StoreFile().Match(banner).Value;
            Assert.True(Directory.Exists(Path.GetDirectoryName(store)));
            return Task.CompletedTask;
        });

        Assert.Equal("", run.Error);
        Assert.Equal(0, run.Code);
        Assert.False(Directory.Exists(Path.GetDirectoryName(store)));
    }

    [Fact]
    public async Task Backends_listen_on_consecutive_ports_and_name_themselves()
    {
        using var http = new HttpClient();

        CommandRun run = await CommandRun.OfServer(["backends", "--count", "2", "--start-port", "0"], async banner =>
        {
            foreach (Match url in Url().Matches(banner))
            {
                string answer = await http.GetStringAsync(url.Value);
                Assert.Contains(new Uri(url.Value).Authority, answer);
            }
            Assert.Equal(2, Url().Count(banner));
        });

        Assert.Equal("", run.Error);
        Assert.Equal(0, run.Code);
    }

    [Fact]
    public async Task Backends_on_a_taken_port_exit_1_and_name_it()
    {
        using var taken = new Socket(SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        int port = ((IPEndPoint)taken.LocalEndPoint!).Port;

        CommandRun run = await CommandRun.Of("backends", "--count", "1", "--start-port", $"{port}");

        Assert.Equal(1, run.Code);
        Assert.Contains($"127.0.0.1:{port}", run.Error);
        Assert.Single(run.Error.Trim().Split('\n'));
    }

    [Theory]
    [InlineData(10, "10/s")]
    [InlineData(1.5, "1.5/s")]
    [InlineData(0.5, "30/m")]
    [InlineData(1.0 / 60, "1/m")]
    [InlineData(1.0 / 3600, "1/h")]
    [InlineData(1.0 / 86400, "1/d")]
    public void Rate_is_shown_in_the_unit_that_gives_a_readable_number(double perSecond, string text) =>
        Assert.Equal(text, Banner.RateText(perSecond));

    [GeneratedRegex(@"(?<=sqlite:)\S+", RegexOptions.None, 1000)]
    private static partial Regex StoreFile();

    [GeneratedRegex(@"http://[\d.:]+", RegexOptions.None, 1000)]
    private static partial Regex Url();
}
