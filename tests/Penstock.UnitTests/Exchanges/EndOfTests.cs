using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

/// <summary>The meaning of each end of a relay, row by row.</summary>
public sealed class EndOfTests
{
    [Fact]
    public void Response_ends_by_its_relay_or_by_the_upload() => Rows(
    [
        (RelayEnd.Done, RelayEnd.Done, Outcome.Ok, null),
        (RelayEnd.SourceClosed, RelayEnd.Done, Outcome.UpstreamReset, BackendError.Reset),
        (RelayEnd.SourceTimedOut, RelayEnd.Done, Outcome.UpstreamTimeout, BackendError.Timeout),
        (RelayEnd.BodyInvalid, RelayEnd.Done, Outcome.UpstreamInvalid, BackendError.Invalid),
        (RelayEnd.TargetClosed, RelayEnd.Done, Outcome.ClientAbort, null),
        (RelayEnd.TargetTimedOut, RelayEnd.Done, Outcome.ClientTimeout, null),
        (RelayEnd.Canceled, RelayEnd.Done, Outcome.ClientAbort, null),
        (RelayEnd.Canceled, RelayEnd.SourceClosed, Outcome.ClientAbort, null),
        (RelayEnd.Canceled, RelayEnd.TargetClosed, Outcome.ClientAbort, null),
        (RelayEnd.Canceled, RelayEnd.SourceTimedOut, Outcome.ClientTimeout, null),
        (RelayEnd.Canceled, RelayEnd.BodyInvalid, Outcome.BadRequest, null),
        (RelayEnd.SourceClosed, RelayEnd.BodyInvalid, Outcome.UpstreamReset, BackendError.Reset),
    ], static row =>
    {
        Assert.Equal(row.Outcome, EndOf.Response(row.End, row.Upload));
        Assert.Equal(row.Blame, EndOf.Blame(row.Outcome));
    });

    [Fact]
    public void Exchange_that_the_upload_ends_is_the_clients_doing() => Rows(
    [
        (RelayEnd.Done, Outcome.ClientAbort),
        (RelayEnd.SourceClosed, Outcome.ClientAbort),
        (RelayEnd.TargetClosed, Outcome.ClientAbort),
        (RelayEnd.SourceTimedOut, Outcome.ClientTimeout),
        (RelayEnd.BodyInvalid, Outcome.BadRequest),
        (RelayEnd.Canceled, Outcome.ClientAbort),
    ], static row => Assert.Equal(row.Item2, EndOf.Upload(row.Item1)));

    [Fact]
    public void Tunnel_ends_in_good_order_or_by_time_or_by_a_side() => Rows(
    [
        (RelayEnd.Done, Outcome.Ok),
        (RelayEnd.SourceClosed, Outcome.ClientAbort),
        (RelayEnd.TargetClosed, Outcome.ClientAbort),
        (RelayEnd.SourceTimedOut, Outcome.TunnelTimeout),
        (RelayEnd.TargetTimedOut, Outcome.TunnelTimeout),
        (RelayEnd.Canceled, Outcome.ClientAbort),
    ], static row => Assert.Equal(row.Item2, EndOf.Tunnel(row.Item1)));

    [Fact]
    public void Request_that_a_backend_does_not_take_is_a_failure_of_the_backend() => Rows(
    [
        (RelayEnd.Done, (Failure?)null),
        (RelayEnd.TargetTimedOut, Failure.SendTimedOut),
        (RelayEnd.TargetClosed, Failure.Lost),
        (RelayEnd.Canceled, null),
    ], static row => Assert.Equal(row.Item2, EndOf.Sending(row.Item1)));

    [Fact]
    public void Answer_in_place_of_a_backends_has_the_status_of_its_outcome() => Rows(
    [
        (Outcome.NoBackend, 503),
        (Outcome.QueueFull, 503),
        (Outcome.QueueTimeout, 503),
        (Outcome.ConnectFailed, 503),
        (Outcome.NoDescriptors, 503),
        (Outcome.UpstreamTimeout, 504),
        (Outcome.UpstreamReset, 502),
        (Outcome.UpstreamInvalid, 502),
    ], static row => Assert.Equal(row.Item2, EndOf.Status(row.Item1)));

    private static void Rows((RelayEnd End, RelayEnd Upload, Outcome Outcome, BackendError? Blame)[] rows,
        Action<(RelayEnd End, RelayEnd Upload, Outcome Outcome, BackendError? Blame)> check) => Assert.All(rows, check);

    private static void Rows<TGiven, TWanted>((TGiven, TWanted)[] rows, Action<(TGiven, TWanted)> check) =>
        Assert.All(rows, check);
}
