using System.Globalization;
using System.Text;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>A valid exchange whose bytes arrive in two pieces, cut at any byte on either side, ends as if they arrived
/// in one piece.</summary>
public sealed class SplitTests
{
    private static readonly string[] Requests =
    [
        "GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nX-Field: some value\r\nAccept: */*\r\n\r\n",
        "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
        "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5;ext=\"q\"\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n",
        "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\nGET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a.example/absolute HTTP/1.1\r\nHost: a.example\r\nConnection: close, X-Gone\r\nX-Gone: 1\r\n\r\n",
    ];

    private static readonly string[] Responses =
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Type: text/plain\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\nT: u\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
        "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nuntil the end",
    ];

    [Fact]
    public async Task Request_cut_at_any_byte_reaches_the_backend_as_the_uncut_one()
    {
        await using var backend = ScriptedBackend.Answer(static request =>
        {
            string seen = Seen(request.Head) + Encoding.ASCII.GetString(request.Body);
            string body = request.Line.StartsWith("HEAD", StringComparison.Ordinal) ? "" : seen;
            return $"HTTP/1.1 200 OK\r\nContent-Length: {seen.Length}\r\n\r\n{body}";
        });
        await using var proxy = TestProxy.To(backend);
        foreach (string request in Requests)
        {
            string whole = await AskAsync(proxy, request, request.Length);
            string[] cut = await Task.WhenAll(Enumerable.Range(1, request.Length - 1)
                .Select(at => Task.Run(() => AskAsync(proxy, request, at))));
            Assert.All(cut, c => Assert.Equal(whole, c));
            Assert.Contains("200", whole);
        }
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Response_cut_at_any_byte_reaches_the_client_as_the_uncut_one()
    {
        foreach (string response in Responses)
        {
            bool closes = response.StartsWith("HTTP/1.0", StringComparison.Ordinal);
            await using var backend = new ScriptedBackend(async peer =>
            {
                while (await peer.ReadRequestAsync() is { } request)
                {
                    int at = int.Parse(request.Line.Split(' ')[1][1..], CultureInfo.InvariantCulture);
                    await peer.SendAsync(response[..at]);
                    if (at < response.Length)
                    {
                        await Task.Delay(2); // so that it is a piece of its own
                        await peer.SendAsync(response[at..]);
                    }
                    if (closes)
                    {
                        return;
                    }
                }
            });
            await using var proxy = TestProxy.To(backend);
            string whole = await GetAsync(proxy, response.Length);
            string[] cut = await Task.WhenAll(Enumerable.Range(1, response.Length - 1)
                .Select(at => Task.Run(() => GetAsync(proxy, at))));
            Assert.All(cut, c => Assert.Equal(whole, c));
            await proxy.AssertQuietAsync();
        }
    }

    private static async Task<string> AskAsync(TestProxy proxy, string request, int at)
    {
        using RawClient client = proxy.Connect();
        await client.SendAsync(request[..at]);
        if (at < request.Length)
        {
            await Task.Delay(2); // so that it is a piece of its own
            await client.SendAsync(request[at..]);
        }
        var answers = new StringBuilder();
        bool toHead = request.StartsWith("HEAD", StringComparison.Ordinal);
        for (int i = 0; i < (toHead ? 2 : 1); i++)
        {
            RawResponse response = (await client.ReadAsync(toHead && i == 0))!;
            answers.Append(response.Status).Append(' ').Append(response.Text).Append('\n');
        }
        return answers.ToString();
    }

    private static async Task<string> GetAsync(TestProxy proxy, int at)
    {
        using RawClient client = proxy.Connect();
        await client.SendAsync($"GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n");
        var answers = new StringBuilder();
        RawResponse response;
        do
        {
            response = (await client.ReadAsync())!;
            answers.Append(Seen(response.Head)).Append(response.Text).Append('\n');
        }
        while (response.Status < 200);
        return answers.ToString();
    }

    /// <summary>A head without what differs from one exchange to the next.</summary>
    private static string Seen(string head) => string.Join('\n', head.Split("\r\n").Where(static line =>
        !line.StartsWith("X-Request-Id", StringComparison.Ordinal)
        && !line.StartsWith("Date", StringComparison.Ordinal)));
}
