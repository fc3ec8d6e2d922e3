using Penstock.Proxy.Http1;
using Xunit;

namespace Penstock.UnitTests.Http1;

public sealed class HostileRequestTests
{
    private const string OursFields = "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\n";

    public static TheoryData<int> Rejected => Numbers(static r => r.Fault != HttpFault.None);
    public static TheoryData<int> NotRejected => Numbers(static r => r.Fault == HttpFault.None);

    [Theory]
    [MemberData(nameof(Rejected))]
    public void Message_hostile_is_rejected_however_it_arrives(int number)
    {
        HostileRequest hostile = HostileRequests.All[number - 1];
        byte[] bytes = Bytes.Of(hostile.Escaped);

        foreach (int step in (int[])[bytes.Length, 1, 2, 3, 7])
        {
            RequestRun run = RequestRun.Of(bytes, step);
            Assert.Equal(hostile.Fault, run.Fault);
            Assert.Contains(run.Fault.Status(), StatusesOf(hostile.Class));
            Assert.Equal(RequestsBefore(number), run.Forwarded.Count);
        }
    }

    [Theory]
    [MemberData(nameof(NotRejected))]
    public void Message_hostile_that_is_not_rejected_leaves_no_trace(int number)
    {
        HostileRequest hostile = HostileRequests.All[number - 1];
        byte[] bytes = Bytes.Of(hostile.Escaped);

        foreach (int step in (int[])[bytes.Length, 1, 2, 3, 7])
        {
            RequestRun run = RequestRun.Of(bytes, step);
            Assert.Equal(HttpFault.None, run.Fault);
            Assert.Equal(ForwardedOf(number), run.Forwarded);
            Assert.Equal(RestOf(number), Bytes.Text(bytes.AsSpan(bytes.Length - run.Rest)));
        }
    }

    [Fact]
    public void Messages_are_all_of_the_table()
    {
        Assert.Equal(Enumerable.Range(1, 118), HostileRequests.All.Select(static r => r.Number));
        Assert.Equal(46, HostileRequests.All.Select(static r => r.Class).Distinct(StringComparer.Ordinal).Count());
    }

    /// <summary>Message 32 is a good request with a bad one behind it.</summary>
    private static int RequestsBefore(int number) => number == 32 ? 1 : 0;

    /// <summary>The right statuses for a kind of fault. If the RFCs allow to reject or to repair a message, Penstock
    /// rejects it, like every message that does not match the grammar.</summary>
    private static int[] StatusesOf(string kind) => kind switch
    {
        "cl-overflow" => [400, 413],
        "te-not-final" => [400, 501],
        "http09" or "version-major" or "version-syntax" => [400, 505],
        "connect" => [400, 405, 501],
        _ => [400],
    };

    private static string[] ForwardedOf(int number) => number switch
    {
        // Trailer fields are dropped, so none of them can be taken for a header field.
        112 => ["POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n" + OursFields
            + "X-Forwarded-Host: 127.0.0.1\r\nX-Request-Id: id\r\nVia: 1.1 penstock\r\n\r\nhello"],
        113 => ["POST /p HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n" + OursFields
            + "X-Forwarded-Host: example.com\r\nX-Request-Id: id\r\nVia: 1.1 penstock\r\n\r\nhello"],

        // What follows is another protocol's only after a 101; until then it is kept, and after any other response it
        // is the next request. That holds behind a body, too.
        114 => ["GET /test HTTP/1.1\r\nHost: a\r\n" + OursFields + "X-Forwarded-Host: a\r\nConnection: Upgrade\r\n"
            + "Upgrade: websocket\r\nX-Request-Id: id\r\nVia: 1.1 penstock\r\n\r\n"],
        115 => ["PUT /url HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n" + OursFields
            + "X-Forwarded-Host: example.com\r\nConnection: Upgrade\r\nUpgrade: ws\r\nX-Request-Id: id\r\n"
            + "Via: 1.1 penstock\r\n\r\nabcd"],
        _ => [],
    };

    private static string RestOf(int number) => number switch
    {
        112 or 113 => "",
        114 => "some raw data",
        115 => "efgh",
        _ => Bytes.Text(Bytes.Of(HostileRequests.All[number - 1].Escaped)),
    };

    private static TheoryData<int> Numbers(Func<HostileRequest, bool> which) =>
        [.. HostileRequests.All.Where(which).Select(static r => r.Number)];
}
