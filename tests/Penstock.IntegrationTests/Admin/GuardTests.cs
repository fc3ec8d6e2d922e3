using Penstock.Control.Admin;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Requests that the API rejects or slows down.</summary>
public sealed class GuardTests
{
    private const string Limit = """{"capacity":2,"rate_per_sec":1}""";
    private const string Backend = "/upstreams/web/backends/127.0.0.1%3A9";

    [Fact]
    public async Task Put_with_if_none_match_only_creates()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        Task<Answer> Put(string noneMatch) =>
            admin.SendAsync("PUT", "/clients/a", Limit, headers: [("If-None-Match", noneMatch)]);

        Answer created = await Put("*");
        Assert.Equal(201, created.Status);
        (await Put("*")).IsError(412, "If-None-Match");
        (await Put(created.ETag!)).IsError(412);
        (await Put("W/" + created.ETag)).IsError(412);
        Assert.Equal(200, (await Put("\"another\"")).Status);
    }

    [Fact]
    public async Task Reset_heeds_if_match()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("a", capacity: 100, tokens: 50);
        string tag = (await admin.SendAsync("GET", "/clients/a")).ETag!;

        (await admin.SendAsync("POST", "/clients/a/reset", headers: [("If-Match", "\"stale\"")])).IsError(412);
        Assert.InRange((await admin.SendAsync("GET", "/clients/a"))["current_tokens"].GetDouble(), 50, 51);
        Answer reset = await admin.SendAsync("POST", "/clients/a/reset", headers: [("If-Match", tag)]);
        Assert.Equal((200, 100), (reset.Status, reset["current_tokens"].GetDouble()));
    }

    [Theory]
    [InlineData("POST", "/clients", """{"client_id":"b","capacity":1,"rate_per_sec":1}""")]
    [InlineData("PATCH", Backend, """{"state":"drain"}""")]
    [InlineData("POST", "/explain", "{}")]
    public async Task If_match_of_what_has_no_etag_is_never_so(string method, string path, string body)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        (await admin.SendAsync(method, path, body, headers: [("If-Match", "\"x\"")])).IsError(412, "no ETag");
        Assert.InRange((await admin.SendAsync(method, path, body, headers: [("If-Match", "*")])).Status, 200, 201);
    }

    [Theory]
    [InlineData("\"1\"")]
    [InlineData("\"0\"")]
    [InlineData("\"ready,drain\"")]
    [InlineData("\" drain\"")]
    [InlineData("\"Drain\"")]
    [InlineData("\"dr_ain\"")]
    [InlineData("1")]
    public async Task State_of_a_backend_is_one_of_its_words(string state)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        (await admin.SendAsync("PATCH", Backend, $$"""{"state":{{state}}}"""))
            .HasFaults("state must be one of ready, drain, maintenance");
    }

    [Fact]
    public async Task Wrong_tokens_are_logged_answered_late_and_bounded()
    {
        var time = new ManualTime();
        await using AdminFixture admin = await AdminFixture.StartAsync(token: "s3cret", time: time);

        Task<Answer>[] guesses = [.. Enumerable.Range(0, 12).Select(i => With($"Bearer guess{i}"))];
        await Eventually.TrueAsync(() => guesses.Count(static g => g.IsCompleted) == 8, "four wait, eight are told");
        Task<Answer>[] waiting = [.. guesses.Where(static g => !g.IsCompleted)];
        foreach (Task<Answer> unread in guesses.Except(waiting))
        {
            (await unread).IsError(429, "too many wrong tokens");
        }

        (await With("Bearer s3cret")).IsError(429); // unread: else the answer would tell a right guess
        (await admin.SendAsync("GET", "/clients")).IsError(401); // no token is no guess
        Assert.Equal(200, (await admin.SendAsync("GET", "/livez")).Status);

        using var stop = new CancellationTokenSource();
        Task ticking = TickAsync(time, stop.Token);
        foreach (Task<Answer> guess in waiting)
        {
            (await guess).IsError(401);
        }

        await stop.CancelAsync();
        await ticking;
        Assert.Equal(200, (await With("Bearer s3cret")).Status);
        Assert.Single(admin.Log.Lines, static l => l.Contains("admin login"));
        Assert.Contains("admin login from 127.0.0.1 failed: wrong token", admin.Log.Lines);
        Assert.DoesNotContain(admin.Log.Lines, static l => l.Contains("guess"));

        Task<Answer> With(string authorization) =>
            admin.SendAsync("GET", "/clients", headers: [("Authorization", authorization)]);
    }

    [Fact]
    public async Task Wrong_tokens_are_waited_for_although_the_caller_has_gone_and_logged_with_their_count()
    {
        var time = new ManualTime();
        var log = new RecordedLog();
        var failed = new FailedLogins(log, time);
        List<Task<bool>> waiting = [.. Enumerable.Range(0, 5).Select(_ => failed.WaitAsync("192.0.2.7"))];
        Assert.False(await waiting[4]);
        Assert.True(failed.IsBusy("192.0.2.7"));
        Assert.False(failed.IsBusy("192.0.2.8"));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.All(await Task.WhenAll(waiting[..4]), Assert.True);
        Assert.False(failed.IsBusy("192.0.2.7"));

        for (int i = 0; i < 5; i++)
        {
            failed.Note("192.0.2.7", "wrong token");
        }

        time.Advance(TimeSpan.FromSeconds(10));
        failed.Note("192.0.2.7", "no token");
        Assert.Equal(
            [
                "admin login from 192.0.2.7 failed: wrong token",
                "admin login from 192.0.2.7 failed: no token; 4 more failed since the last line about this address",
            ], log.Lines);
    }

    private static async Task TickAsync(ManualTime time, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(5, CancellationToken.None);
        }
    }

    [Theory]
    [InlineData("/docs/index.html")]
    [InlineData("/clients")]
    [InlineData("/livez")]
    [InlineData("/nothing")]
    public async Task Nothing_may_be_shown_in_a_frame_of_another_site(string path)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        using var http = new HttpClient { BaseAddress = admin.Host.AdminUrl };
        using HttpResponseMessage response = await http.GetAsync(path);
        Assert.Equal("frame-ancestors 'none'", Assert.Single(response.Headers.GetValues("Content-Security-Policy")));
        Assert.Equal("DENY", Assert.Single(response.Headers.GetValues("X-Frame-Options")));
    }
}
