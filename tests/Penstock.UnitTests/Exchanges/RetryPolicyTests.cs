using System.Globalization;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

/// <summary>Whether a request is sent again: one row for every combination that matters.</summary>
public sealed class RetryPolicyTests
{
    /// <summary>failure | what is known of the request | settings | verdict | blame. Where a row says nothing,
    /// <c>attempts</c> is 2 and <c>per_try_timeout</c> is off. "again": at another backend; "paid": only if there is
    /// one and the budget pays; "+1": it uses up one of the attempts; "fresh": else the same backend once
    /// more.</summary>
    private const string Table = """
        NotConnected    |                                 |               | again                       | Connect
        NotConnected    | Used=2                          |               | again                       | Connect
        NotConnected    | Used=9 Sends=3                  | max=0         | again                       | Connect
        NotConnected    | BodyGone                        |               | again                       | Connect
        NotSecured      |                                 |               | again                       | Connect
        NotSecured      | Used=2                          |               | again                       | Connect
        NotSecured      | Used=9 Sends=3                  | max=0         | again                       | Connect
        NotSecured      | BodyGone                        |               | again                       | Connect
        NoResources     |                                 |               | again                       | -
        NoResources     | Used=5                          | max=0         | again                       | -
        NoDescriptors   |                                 |               | end                         | -
        NoDescriptors   | Idem Sent                       | max=9         | end                         | -
        ConnectTimedOut |                                 |               | again +1                    | Connect
        ConnectTimedOut | Used=1                          |               | again +1                    | Connect
        ConnectTimedOut | Used=2                          |               | end +1                      | Connect
        ConnectTimedOut |                                 | max=0         | end +1                      | Connect
        ConnectTimedOut | Used=2                          | max=3         | again +1                    | Connect
        NotSent         |                                 |               | again                       | Reset
        NotSent         |                                 | max=0         | again                       | Reset
        NotSent         | Used=1                          |               | again                       | Reset
        NotSent         | Used=2                          |               | again wait=25               | Reset
        NotSent         | Used=3                          |               | again wait=75               | Reset
        NotSent         | Reused                          |               | again fresh                 | -
        NotSent         | Reused Idem                     | max=0         | again fresh                 | -
        NotSent         | Reused Used=1                   |               | again fresh                 | Reset
        Lost            | Idem Sent Sends=1               |               | again paid +1               | Reset
        Lost            | Idem Sent Sends=2 Used=1        |               | again paid +1 wait=25       | Reset
        Lost            | Idem Sent Sends=3 Used=2        |               | end                         | Reset
        Lost            | Idem Sent Sends=3 Used=2        | max=3         | again paid +1 wait=75       | Reset
        Lost            | Idem Sent Sends=4 Used=3        | max=9         | again paid +1 wait=175      | Reset
        Lost            | Idem Sent Sends=5 Used=4        | max=9         | again paid +1 wait=250      | Reset
        Lost            | Idem Sent Sends=9 Used=9        | max=10        | again paid +1 wait=250      | Reset
        Lost            | Idem Sent Sends=1               | max=0         | end                         | Reset
        Lost            | Sent Sends=1                    |               | end                         | Reset
        Lost            | Idem Sends=1                    |               | end                         | Reset
        Lost            | Idem BodyGone Sends=1           |               | end                         | Reset
        Lost            | Idem BodyGone Sent Sends=1      |               | end                         | Reset
        Lost            | Reused Idem Sent Sends=1        |               | again +1 fresh              | -
        Lost            | Reused Idem Sent Sends=1        | max=0         | again +1 fresh              | -
        Lost            | Reused Idem Sends=1             |               | again +1 fresh              | -
        Lost            | Reused Sent Sends=1             |               | end                         | Reset
        Lost            | Reused Idem BodyGone Sends=1    |               | end                         | Reset
        Lost            | Reused Idem Sent Sends=2        |               | again paid +1 fresh         | -
        Lost            | Reused Idem Sent Sends=2        | max=0         | end                         | Reset
        Lost            | Reused Idem Sent Sends=2 Used=1 |               | again paid +1 wait=25 fresh | Reset
        Lost            | Reused Idem Sent Sends=1 Used=1 |               | again paid +1 wait=25 fresh | Reset
        Lost            | Reused Idem Sent Sends=2 Used=2 |               | end                         | Reset
        HeadTimedOut    | Idem Sent Sends=1               |               | end                         | Timeout
        HeadTimedOut    | Idem Sent Sends=1               | per_try       | again paid +1               | Timeout
        HeadTimedOut    | Idem Sent Sends=2 Used=1        | per_try       | again paid +1 wait=25       | Timeout
        HeadTimedOut    | Idem Sent Sends=3 Used=2        | per_try       | end                         | Timeout
        HeadTimedOut    | Idem Sent Sends=1               | per_try max=0 | end                         | Timeout
        HeadTimedOut    | Idem Sent Sends=1 Begun         | per_try       | end                         | Timeout
        HeadTimedOut    | Idem Sent Sends=1 Begun Interim | per_try       | end                         | Timeout
        HeadTimedOut    | Sent Sends=1                    | per_try       | end                         | Timeout
        HeadTimedOut    | Idem Sends=1 BodyGone           | per_try       | end                         | Timeout
        HeadTimedOut    | Reused Idem Sent Sends=1        | per_try       | again paid +1               | Timeout
        UnwantedStatus  | Idem Sent Sends=1 Begun         |               | again paid +1               | -
        UnwantedStatus  | Idem Sent Sends=2 Used=1 Begun  |               | again paid +1 wait=25       | -
        UnwantedStatus  | Idem Sent Sends=3 Used=2 Begun  |               | end                         | -
        UnwantedStatus  | Idem Sent Sends=1 Begun         | max=0         | end                         | -
        UnwantedStatus  | Idem Sent Begun Interim         |               | end                         | -
        UnwantedStatus  | Sent Sends=1 Begun              |               | end                         | -
        UnwantedStatus  | Idem Sends=1 BodyGone Begun     |               | end                         | -
        UnwantedStatus  | Reused Idem Sent Begun          |               | again paid +1               | -
        SendTimedOut    | Idem Sends=1                    | per_try       | end                         | Timeout
        SendTimedOut    | Reused Idem Sends=1             |               | end                         | Timeout
        HeadCut         | Idem Sent Sends=1 Begun         | max=9         | end                         | Reset
        HeadCut         | Reused Idem Sent Begun          |               | end                         | Reset
        Invalid         | Idem Sent Sends=1 Begun         | max=9         | end                         | Invalid
        Invalid         | Reused Idem Sent Begun Interim  |               | end                         | Invalid
        """;

    [Fact]
    public void Next_is_what_the_table_says()
    {
        string[] rows = Table.ReplaceLineEndings("\n").Split('\n');
        Assert.True(rows.Length >= 40, "the table lost rows");
        Assert.All(rows, static row =>
        {
            string[] cells = [.. row.Split('|').Select(static c => c.Trim())];
            Verdict verdict = RetryPolicy.Next(Enum.Parse<Failure>(cells[0]), StateOf(cells[1]), ConfigOf(cells[2]));
            Assert.Equal($"{cells[3]} | {cells[4]}", Describe(verdict));
        });
        Assert.Equal(
            Enum.GetNames<Failure>().Order(), rows.Select(static r => r.Split('|')[0].Trim()).Distinct().Order());
    }

    [Fact]
    public void Every_failure_has_an_outcome_whether_the_request_is_sent_again_or_not()
    {
        var state = new RetryState { IsIdempotent = true, IsSent = true, Sends = 1 };
        Assert.All(Enum.GetValues<Failure>(), failure => Assert.Equal(failure switch
        {
            Failure.NotConnected or Failure.ConnectTimedOut or Failure.NoResources => Outcome.ConnectFailed,
            Failure.NotSecured => Outcome.TlsFailed,
            Failure.NoDescriptors => Outcome.NoDescriptors,
            Failure.NotSent or Failure.Lost or Failure.HeadCut => Outcome.UpstreamReset,
            Failure.SendTimedOut or Failure.HeadTimedOut => Outcome.UpstreamTimeout,
            _ => Outcome.UpstreamInvalid,
        }, RetryPolicy.Next(failure, state, new RetryConfig()).Outcome));
    }

    [Theory]
    [InlineData("GET", "", 0, true)]
    [InlineData("HEAD", "", 0, true)]
    [InlineData("PUT", "Content-Length: 0\r\n", 0, true)]
    [InlineData("GET", "", 1, false)]
    [InlineData("POST", "", 0, false)]
    [InlineData("PUT", "Content-Length: 5\r\n", 0, false)]
    [InlineData("PUT", "Transfer-Encoding: chunked\r\n", 0, false)]
    public void Closed_connection_may_be_met_by_a_first_send_that_can_be_repeated(
        string method, string fields, int sends, bool may) =>
        Assert.Equal(may, RetryPolicy.MayMeetClosed(Request(method, fields), sends));

    [Theory]
    [InlineData("GET", "", "", true)]
    [InlineData("HEAD", "", "Idem Sent Sends=1", true)]
    [InlineData("GET", "", "Used=1", false)]
    [InlineData("GET", "", "Interim", false)]
    [InlineData("PUT", "Content-Length: 0\r\n", "", false)]
    [InlineData("POST", "", "", false)]
    [InlineData("GET", "Content-Length: 5\r\n", "", false)]
    [InlineData("GET", "Connection: upgrade\r\nUpgrade: websocket\r\n", "", false)]
    public void Second_backend_is_asked_for_a_first_try_of_a_safe_request_without_a_body(
        string method, string fields, string state, bool may) =>
        Assert.Equal(may, RetryPolicy.MayHedge(Request(method, fields), StateOf(state)));

    private static RequestHead Request(string method, string fields)
    {
        var request = new RequestHead(HeadBounds.Default);
        Assert.Equal(ParseStatus.Complete,
            request.Parse(Encoding.ASCII.GetBytes($"{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")));
        return request;
    }

    private static RetryState StateOf(string cell)
    {
        string[] words = cell.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return new RetryState
        {
            IsIdempotent = words.Contains("Idem"),
            BodyIsGone = words.Contains("BodyGone"),
            IsSent = words.Contains("Sent"),
            IsReused = words.Contains("Reused"),
            ResponseBegun = words.Contains("Begun"),
            InterimPassed = words.Contains("Interim"),
            Sends = Number(words, "Sends=", 0),
            RetriesUsed = Number(words, "Used=", 0),
        };
    }

    private static RetryConfig ConfigOf(string cell)
    {
        string[] words = cell.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return new RetryConfig
        {
            Attempts = Number(words, "max=", 2),
            PerTryTimeout = words.Contains("per_try") ? TimeSpan.FromSeconds(1) : TimeSpan.Zero,
        };
    }

    private static int Number(string[] words, string name, int otherwise) =>
        Array.Find(words, w => w.StartsWith(name, StringComparison.Ordinal)) is { } word
            ? int.Parse(word[name.Length..], CultureInfo.InvariantCulture) : otherwise;

    private static string Describe(in Verdict verdict) => (verdict.Repeats ? "again" : "end")
        + (verdict.NeedsLeave ? " paid" : "")
        + (verdict.Counts ? " +1" : "")
        + (verdict.MaxWaitMs > 0 ? $" wait={verdict.MaxWaitMs}" : "")
        + (verdict.OrFreshConnection ? " fresh" : "")
        + $" | {verdict.Blame?.ToString() ?? "-"}";
}
