using System.Globalization;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Health;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Health;

/// <summary>Which backends are ejected, and for how long. The tests simulate traffic and time.</summary>
public sealed class OutlierDetectorTests : IDisposable
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);

    private readonly ManualTime _time = new();
    private readonly LogLines _log = new();
    private PassiveHealthConfig? _config = new();
    private Upstream _upstream = null!;
    private OutlierDetector _detector = null!;

    public void Dispose() => _log.Dispose();

    [Fact]
    public void Errors_in_a_row_eject_at_once()
    {
        Start(3);
        Fail(0, 4, BackendError.Reset);
        Assert.Null(Of(0).Ejection);
        Fail(0, 1, BackendError.Connect);
        Assert.Equal("5 errors in a row, the last: no connection", Of(0).Ejection!.Cause);
        Assert.Equal((false, 1), (Of(0).IsUsable, Of(0).Ejections));
        Assert.Matches("web/10.0.0.1:80 is EJECTED for 1[01](\\.\\d)? s \\(ejection 1 in a row\\): "
            + "5 errors in a row, the last: no connection; 2 of 3 backends usable", Assert.Single(_log.Lines));
    }

    [Fact]
    public void Success_ends_a_row()
    {
        Start(3);
        for (int i = 0; i < 10; i++)
        {
            Fail(0, 4, BackendError.Timeout);
            Succeed(0, 1);
        }
        Assert.Null(Of(0).Ejection);
    }

    [Theory]
    [InlineData(500, true)]
    [InlineData(501, false)]
    [InlineData(502, true)]
    [InlineData(503, true)]
    [InlineData(504, true)]
    [InlineData(505, false)]
    [InlineData(499, false)]
    [InlineData(200, false)]
    public void Statuses_that_are_errors(int status, bool error) =>
        Assert.Equal(error, BackendTraffic.IsError(status));

    [Fact]
    public void Errors_in_a_row_eject_only_who_fails_more_than_the_others()
    {
        Start(3);
        Succeed(1, 5);
        Succeed(2, 5);
        Fail(0, 5, BackendError.Status, 503);
        Assert.Equal("5 errors in a row, the last: status 503", Of(0).Ejection!.Cause);
    }

    [Theory]
    [InlineData(BackendError.Status)]
    [InlineData(BackendError.Timeout)]
    public void Where_all_fail_alike_none_is_ejected(object error)
    {
        Start(4);
        for (int i = 0; i < 1000; i++)
        {
            Fail(i % 4, 1, (BackendError)error, 500);
            Advance(TimeSpan.FromMilliseconds(10));
        }
        Assert.All(_upstream.Backends, static b => Assert.Null(b.Ejection));
        Assert.Matches("is not ejected although its results are bad: 5 errors in a row, the last: .*\\. "
            + "Reason: the other backends fail as well",
            _log.Lines.First());
        Assert.Equal(4, _log.Lines.Count); // each told once, not at every error
    }

    /// <summary>Exact whole numbers, rounded down, and never the only one.</summary>
    [Theory]
    [InlineData(1, 50, 0)]
    [InlineData(1, 100, 0)]
    [InlineData(2, 50, 1)]
    [InlineData(2, 49, 0)]
    [InlineData(2, 100, 1)]
    [InlineData(3, 50, 1)]
    [InlineData(3, 66, 1)]
    [InlineData(3, 67, 2)]
    [InlineData(3, 100, 2)]
    [InlineData(4, 50, 2)]
    [InlineData(5, 50, 2)]
    [InlineData(100, 29, 29)]
    [InlineData(100, 0, 0)]
    public void Share_that_is_ejected_at_most(int backends, int percent, int ejected)
    {
        _config = _config! with { MaxEjectedPercent = percent, PanicThresholdPercent = 0 };
        Start(backends);
        SucceedAll();
        for (int i = 0; i < backends; i++)
        {
            Fail(i, 20, BackendError.Connect);
        }
        Assert.Equal(ejected, _upstream.Backends.Count(static b => b.Ejection is not null));
        Assert.Equal(backends == 1, _log.Lines.IsEmpty); // a single one is no news
    }

    [Fact]
    public void Last_usable_one_stays_whatever_the_share()
    {
        Start(4);
        SucceedAll();
        Down(1);
        Down(2);
        Fail(3, 5, BackendError.Connect);
        Assert.NotNull(Of(3).Ejection);
        Fail(0, 5, BackendError.Connect);
        Assert.Null(Of(0).Ejection);
    }

    [Fact]
    public void Ejections_are_ignored_when_too_few_are_left()
    {
        Start(4);
        Fail(0, 5, BackendError.Connect);
        Assert.False(Of(0).IsUsable);
        Down(1);
        Advance(Step); // two of four are left, which is half
        Assert.False(Of(0).IsUsable);
        Down(2);
        Advance(Step);
        Assert.True(Of(0).IsUsable && Of(0).EjectionIgnored && Of(0).Ejection is not null);
        Of(2).Health = new HealthState(BackendHealth.Up, null, null);
        Advance(Step);
        Assert.False(Of(0).IsUsable);
        Assert.Equal(
        [
            "upstream web: ejections are ignored, they would leave only 1 of 4 backends",
            "upstream web: ejections take effect again",
        ], _log.Lines.Where(static l => l.StartsWith("upstream", StringComparison.Ordinal)));
    }

    [Fact]
    public void Ejections_get_longer_up_to_the_longest_and_shorter_again()
    {
        _config = _config! with { MaxEjectionTime = TimeSpan.FromSeconds(35) };
        Start(3);
        double[] seconds = [.. Enumerable.Range(0, 6).Select(_ => EjectAndWait())];
        Assert.Collection(seconds, s => Assert.InRange(s, 10, 11.2), s => Assert.InRange(s, 20, 22.2),
            s => Assert.InRange(s, 30, 33.2), s => Assert.InRange(s, 35, 38.7), s => Assert.InRange(s, 35, 38.7),
            s => Assert.InRange(s, 35, 38.7));
        Advance(TimeSpan.FromSeconds(31)); // well for three times the first ejection's length
        Assert.InRange(EjectAndWait(), 20, 22.2);

        double EjectAndWait()
        {
            Fail(0, 5, BackendError.Timeout);
            DateTimeOffset since = _time.GetUtcNow();
            Assert.NotNull(Of(0).Ejection);
            while (Of(0).Ejection is not null)
            {
                Advance(Step);
            }
            return (_time.GetUtcNow() - since).TotalSeconds;
        }
    }

    [Fact]
    public void Return_is_slow_and_with_an_empty_window()
    {
        Start(3, slowStart: TimeSpan.FromSeconds(10));
        Advance(TimeSpan.FromSeconds(1));
        Fail(0, 60, BackendError.Reset);
        Advance(TimeSpan.FromSeconds(12));
        Assert.Null(Of(0).Ejection);
        Assert.True(Of(0).Ramp < 1);
        Succeed(0, 1);
        Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(1, Of(0).Ejections);
        Assert.Matches("returns after an ejection of 1[01](\\.\\d)? s: "
            + "the ejection time is over; 3 of 3 backends usable",
            _log.Lines.Last());
    }

    [Fact]
    public void Share_of_errors_ejects_with_enough_requests()
    {
        Start(3);
        Succeed(1, 100);
        Mixed(0, 24, 24);
        Advance(TimeSpan.FromSeconds(2));
        Assert.Null(Of(0).Ejection); // 48 of 50
        Mixed(0, 1, 1);
        Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("25 of 50 requests failed in 10 s", Of(0).Ejection!.Cause);
    }

    [Fact]
    public void Share_of_errors_counts_a_sliding_window()
    {
        Start(3);
        Succeed(1, 100);
        Mixed(0, 24, 24);
        Advance(TimeSpan.FromSeconds(12));
        Mixed(0, 24, 24);
        Advance(TimeSpan.FromSeconds(2));
        Assert.Null(Of(0).Ejection);
    }

    [Theory]
    [InlineData(40, false)]
    [InlineData(20, true)]
    public void Share_of_errors_is_compared_with_the_others(int othersErrors, bool ejected)
    {
        Start(3);
        Mixed(0, 50, 50);
        Mixed(1, othersErrors, 100 - othersErrors);
        Mixed(2, othersErrors, 100 - othersErrors);
        Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(ejected, Of(0).Ejection is not null);
    }

    /// <summary>Median latencies of the backends, in milliseconds, and which of them is ejected.</summary>
    [Theory]
    [InlineData("10 10 400", "2")]
    [InlineData("400 10 10", "0")]
    [InlineData("100 100 250", "")] // less than three times
    [InlineData("10 10 80", "")] // below the floor
    [InlineData("10 400", "")] // who is to say which is right?
    [InlineData("10 400 400", "")]
    [InlineData("1 400 400 400", "")] // one that answers suspiciously fast
    [InlineData("10 10 10 10 400 900", "45")]
    [InlineData("10 10 900 10 400", "2")] // the worst, where only one may be out
    public void Latency_far_above_the_others_ejects(string medians, string ejected)
    {
        int[] ms = [.. medians.Split(' ').Select(static m => int.Parse(m, CultureInfo.InvariantCulture))];
        _config = _config! with { LatencyFactor = 3, MaxEjectedPercent = 34 };
        Start(ms.Length);
        for (int i = 0; i < ms.Length; i++)
        {
            Succeed(i, 50, ms[i]);
        }
        Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(ejected, string.Concat(Enumerable.Range(0, ms.Length).Where(i => Of(i).Ejection is not null)));
        Assert.All(_upstream.Backends.Select(static b => b.Ejection?.Cause).OfType<string>(), static cause =>
            Assert.Matches("^median latency \\d+ ms, [\\d.]+ times that of the others$", cause));
    }

    [Fact]
    public void Latency_ejects_no_backend_by_default()
    {
        Start(3);
        Succeed(0, 100, 5);
        Succeed(1, 100, 5);
        Succeed(2, 100, 5000);
        Advance(TimeSpan.FromSeconds(2));
        Assert.Null(Of(2).Ejection);
    }

    [Fact]
    public void Passed_checks_end_an_ejection_that_they_would_have_noticed()
    {
        Start(3);
        Fail(0, 5, BackendError.Connect);
        _detector.OnChecked(Of(0), passed: true, rise: 2);
        _detector.OnChecked(Of(0), passed: false, rise: 2);
        _detector.OnChecked(Of(0), passed: true, rise: 2);
        Assert.NotNull(Of(0).Ejection);
        _detector.OnChecked(Of(0), passed: true, rise: 2);
        Assert.Null(Of(0).Ejection);
        Assert.Contains("2 of 2 checks passed", _log.Lines.Last(), StringComparison.Ordinal);
    }

    [Fact]
    public void Passed_checks_do_not_end_an_ejection_for_what_they_do_not_see()
    {
        Start(3);
        Fail(0, 5, BackendError.Status, 500);
        for (int i = 0; i < 10; i++)
        {
            _detector.OnChecked(Of(0), passed: true, rise: 2);
        }
        Assert.NotNull(Of(0).Ejection);
    }

    [Fact]
    public void Backups_are_a_group_of_their_own()
    {
        Start(4, backups: 2);
        SucceedAll();
        Fail(0, 5, BackendError.Connect);
        Fail(1, 5, BackendError.Connect);
        Fail(2, 5, BackendError.Connect);
        Fail(3, 5, BackendError.Connect);
        Assert.Equal([true, false, true, false], _upstream.Backends.Select(static b => b.Ejection is not null));
    }

    [Fact]
    public void Reload_keeps_ejections_and_off_ends_them()
    {
        Start(3);
        Fail(0, 5, BackendError.Connect);
        _upstream.Apply(_upstream.Config with { PassiveHealth = _config! with { ConsecutiveErrors = 2 } });
        Advance(Step);
        Assert.NotNull(Of(0).Ejection);
        _upstream.Apply(_upstream.Config with { PassiveHealth = null });
        Advance(Step);
        Assert.Null(Of(0).Ejection);
        Fail(1, 50, BackendError.Connect);
        Assert.Null(Of(1).Ejection);
    }

    [Fact]
    public void Off_ejects_no_backend()
    {
        _config = null;
        Start(3);
        Fail(0, 500, BackendError.Connect);
        Advance(TimeSpan.FromSeconds(10));
        Assert.Null(Of(0).Ejection);
    }

    private Backend Of(int index) => _upstream.Backends[index];

    private void Start(int backends, int backups = 0, TimeSpan slowStart = default)
    {
        var clock = new MonotonicClock(_time);
        _upstream = new Upstream(new UpstreamConfig
        {
            Name = "web",
            Backends =
            [
                .. Enumerable.Range(1, backends).Select(i => new BackendConfig
                {
                    Host = $"10.0.0.{i}", Port = 80, Backup = i > backends - backups,
                }),
            ],
            SlowStart = slowStart,
            PassiveHealth = _config,
        }, clock);
        _detector = new OutlierDetector(_upstream, clock, _log);
    }

    private void Fail(int index, int times, BackendError error, int status = 0)
    {
        for (int i = 0; i < times; i++)
        {
            Of(index).Traffic.Failed(0, error, status);
        }
    }

    private void SucceedAll()
    {
        for (int i = 0; i < _upstream.Backends.Count; i++)
        {
            Succeed(i, 1000);
        }
    }

    private void Succeed(int index, int times, int latencyMs = 10)
    {
        for (int i = 0; i < times; i++)
        {
            Of(index).Traffic.Responded(0, latencyMs * 1_000_000L);
            Of(index).Traffic.Succeeded(0);
        }
    }

    /// <summary>Errors and successes in turns, so that no five errors stand in a row.</summary>
    private void Mixed(int index, int errors, int successes)
    {
        for (int i = 0; i < Math.Max(errors, successes); i++)
        {
            Succeed(index, i < successes ? 1 : 0);
            Fail(index, i < errors ? 1 : 0, BackendError.Reset);
        }
    }

    private void Down(int index) => Of(index).Health = new HealthState(BackendHealth.Down, "test", null);

    private void Advance(TimeSpan by)
    {
        for (TimeSpan passed = TimeSpan.Zero; passed < by; passed += Step)
        {
            _time.Advance(Step < by ? Step : by);
            _detector.Tick();
            _upstream.Tick(0);
        }
    }
}
