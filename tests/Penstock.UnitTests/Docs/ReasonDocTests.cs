using System.Text;
using Penstock.Proxy.Exchanges;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>The table of reasons in docs/operating.md is made from <see cref="Outcome"/>: its words, in its order.
/// </summary>
public sealed class ReasonDocTests
{
    [Fact]
    public void Table_of_reasons_in_the_documents_is_that_of_the_program()
    {
        var table = new StringBuilder("\n| `reason` | status | what to look at |\n|---|---|---|\n");
        foreach (Outcome outcome in Enum.GetValues<Outcome>())
        {
            (string status, string hint) = Row(outcome);
            table.Append($"| `{Encoding.ASCII.GetString(outcome.Word())}` | {status} | {hint} |\n");
        }
        GeneratedText.CheckParts("docs/operating.md", [("reasons", table.Append('\n').ToString())]);
    }

    /// <summary>For a reader who has only the status.</summary>
    [Fact]
    public void Reasons_by_status_are_those_of_the_program()
    {
        var table = new StringBuilder("\n| status | `reason` | what to look at |\n|---|---|---|\n");
        IEnumerable<(string Status, string Word, string Hint)> rows =
            from outcome in Enum.GetValues<Outcome>()
            let row = Row(outcome)
            where row.Status[0] is '4' or '5'
            orderby row.Status
            select (row.Status, Encoding.ASCII.GetString(outcome.Word()), row.Hint);
        foreach ((string status, string word, string hint) in rows)
        {
            table.Append($"| {status} | `{word}` | {hint.Replace("](#", "](operating.md#")} |\n");
        }
        GeneratedText.CheckParts("docs/errors.md", [("statuses", table.Append('\n').ToString())]);
    }

    [Fact]
    public void Words_of_reasons_differ() => Assert.Distinct(
        Enum.GetValues<Outcome>().Select(static o => Encoding.ASCII.GetString(o.Word())));

    private static (string Status, string Hint) Row(Outcome outcome) => outcome switch
    {
        Outcome.Ok => ("the backend's", "200 if Penstock answers `OPTIONS` with `Max-Forwards: 0` itself"),
        Outcome.RateLimited => ("429", "the limit that is named; `GET /rejections`"),
        Outcome.ConcurrencyLimited => ("429", "the client has as many requests under way as the limit allows"),
        Outcome.UnknownClient => ("401", "`clients.unknown: reject`, and nobody registered the client"),
        Outcome.ClientBlocked => ("403", "an operator has blocked the client: `penstock clients get ID`"),
        Outcome.NoRoute => ("404", "`routes`"),
        Outcome.NoBackend =>
            ("503", "no backend is up; or all are at `max_connections` and the upstream has no queue"),
        Outcome.QueueFull =>
            ("503", "all backends are at `max_connections`, and `queue.length` requests wait already"),
        Outcome.QueueTimeout => ("503", "no backend had a place within `queue.timeout`"),
        Outcome.ConnectFailed => ("503", "no backend that was tried took the connection"),
        Outcome.TlsFailed => ("502", "no backend that was tried could prove its name by TLS: `backend_insecure` in the "
            + "log says why"),
        Outcome.NoDescriptors =>
            ("503", "[no descriptor](#descriptors) for a connection to a backend: raise `LimitNOFILE`"),
        Outcome.UpstreamTimeout => ("504", "the backend is slow or stopped; `timeouts.response`"),
        Outcome.UpstreamReset => ("502", "the backend closed the connection without a whole response"),
        Outcome.UpstreamInvalid => ("502", "the backend does not speak valid HTTP/1.1"),
        Outcome.ClientAbort => ("0 or the backend's", "the client closed or reset its connection before the end of the "
            + "response; clients that end only their side and still listen need `bounds.half_close: allow`"),
        Outcome.ClientTimeout => ("408", "the client was slow to send"),
        Outcome.BadRequest => ("4xx, 501, 505", "`fault` says what was wrong with the request"),
        Outcome.Loop => ("508", "a route leads back to Penstock itself"),
        Outcome.TunnelTimeout => ("101", "nothing was said in a tunnel for `timeouts.tunnel`"),
        Outcome.Redirected => ("308", "the listener sends its clients to HTTPS: `tls.redirect_from`"),
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "has no row"),
    };
}
