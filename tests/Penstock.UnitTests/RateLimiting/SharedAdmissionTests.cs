using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>Requests under several limits, of a client whose tokens nodes share: they wait only for these tokens, hold
/// no other tokens during the wait, and are charged once.</summary>
public sealed class SharedAdmissionTests
{
    private readonly MonotonicClock _clock = new(new ManualTime());
    private readonly Admission _admission = new();
    private readonly Dictionary<string, LimitConfig> _limits = new()
    {
        ["default"] = new(100, 0.001),
        ["site"] = new(2, 0.001) { By = LimitKey.All },
        ["slots"] = new(0, 0) { Concurrent = 1 },
        ["trial"] = new(1, 0.001) { By = LimitKey.All, DryRun = true },
    };

    private readonly Limiter _limiter;
    private readonly RegisteredClient _registered;
    private readonly LeasedBucket _client;

    public SharedAdmissionTests()
    {
        _limiter = new Limiter(new() { Listeners = [], Upstreams = [], Routes = [], Limits = _limits }, _clock,
            sharesTokens: true);
        _limiter.Clients.Put(new("c", new(10, 0.001), 10, Version: 1, Epoch: 1));
        _registered = _limiter.Clients.Find("c")!;
        _client = (LeasedBucket)_registered.Bucket;
    }

    [Fact]
    public void Request_without_tokens_at_hand_awaits_them_and_holds_nothing()
    {
        Assert.False(TryAdmit(mayWait: true, null, "default", "slots", "site"));

        Assert.Same(_client, _admission.Awaited);
        Assert.Equal(0, _limiter.Concurrency.Count);
        Assert.True(TryAdmit(mayWait: false, _client, "default", "slots", "site"));
    }

    [Fact]
    public void Request_that_may_not_wait_is_rejected()
    {
        Assert.False(TryAdmit(mayWait: false, null, "default"));

        Assert.Null(_admission.Awaited);
        Assert.True(_admission.Rejected);
    }

    [Fact]
    public void Request_that_another_limit_rejects_anyway_does_not_wait()
    {
        Assert.True(TryAdmit(mayWait: false, _client, "default", "site"));
        Assert.True(TryAdmit(mayWait: false, _client, "default", "site"));

        Assert.False(TryAdmit(mayWait: true, null, "default", "site"));

        Assert.Null(_admission.Awaited);
        Assert.Equal("site", Encoding.UTF8.GetString(_admission.Rejection.NameBytes));
    }

    [Fact]
    public void Request_waits_where_a_limit_in_dry_run_would_reject()
    {
        Assert.True(TryAdmit(mayWait: false, _client, "default", "trial"));

        Assert.False(TryAdmit(mayWait: true, null, "default", "trial"));

        Assert.Same(_client, _admission.Awaited);
    }

    [Fact]
    public void Tokens_that_were_taken_meanwhile_are_used_once_or_given_back()
    {
        _client.Add(4);
        Assert.True(TryAdmit(mayWait: false, _client, "default", "site"));
        Assert.Equal(4, _client.Balance);

        Assert.True(TryAdmit(mayWait: false, _client, "default", "site"));
        Assert.False(TryAdmit(mayWait: false, _client, "default", "site")); // rejected by the site
        Assert.Equal(5, _client.Balance);
    }

    [Fact]
    public void Tokens_of_a_client_that_does_not_count_any_more_are_given_back()
    {
        Assert.True(TryAdmit(mayWait: false, prepaid: _client, registered: null, "default"));

        Assert.Equal(1, _client.Balance);
    }

    private bool TryAdmit(bool mayWait, LeasedBucket? prepaid, params string[] names) =>
        TryAdmit(mayWait, prepaid, _registered, names);

    private bool TryAdmit(bool mayWait, LeasedBucket? prepaid, RegisteredClient? registered, params string[] names)
    {
        _admission.Reset();
        return _admission.TryAdmit(_limiter, new(names.Select(n => _limiter.Limits.RuleOf(n, _limits[n])), 1),
            new AdmissionRequest
            {
                Client = "c"u8, Address = "192.0.2.1"u8, Registered = registered, MayWait = mayWait, Prepaid = prepaid,
            },
            _clock.NowNs);
    }
}
