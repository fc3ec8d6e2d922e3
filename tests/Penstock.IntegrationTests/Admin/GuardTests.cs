using System.Diagnostics;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>What the API refuses, or slows down.</summary>
public sealed class GuardTests
{
    private const string Limit = """{"capacity":2,"rate_per_sec":1}""";
    private const string Backend = "/upstreams/web/backends/127.0.0.1%3A9";

    [Fact]
    public async Task Put_with_if_none_match_only_creates()
    {
        await using var admin = await AdminFixture.StartAsync();
        Task<Answer> Put(string noneMatch) =>
            admin.SendAsync("PUT", "/clients/a", Limit, headers: [("If-None-Match", noneMatch)]);

        var created = await Put("*");
        Assert.Equal(201, created.Status);
        (await Put("*")).IsError(412, "If-None-Match");
        (await Put(created.ETag!)).IsError(412);
        (await Put("W/" + created.ETag)).IsError(412);
        Assert.Equal(200, (await Put("\"another\"")).Status);
    }

    [Fact]
    public async Task Reset_heeds_if_match()
    {
        await using var admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("a", capacity: 100, tokens: 50);
        var tag = (await admin.SendAsync("GET", "/clients/a")).ETag!;

        (await admin.SendAsync("POST", "/clients/a/reset", headers: [("If-Match", "\"stale\"")])).IsError(412);
        Assert.InRange((await admin.SendAsync("GET", "/clients/a"))["current_tokens"].GetDouble(), 50, 51);
        var reset = await admin.SendAsync("POST", "/clients/a/reset", headers: [("If-Match", tag)]);
        Assert.Equal((200, 100), (reset.Status, reset["current_tokens"].GetDouble()));
    }

    [Theory]
    [InlineData("POST", "/clients", """{"client_id":"b","capacity":1,"rate_per_sec":1}""")]
    [InlineData("PATCH", Backend, """{"state":"drain"}""")]
    [InlineData("POST", "/explain", "{}")]
    public async Task If_match_of_what_has_no_etag_is_never_so(string method, string path, string body)
    {
        await using var admin = await AdminFixture.StartAsync();
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
        await using var admin = await AdminFixture.StartAsync();
        (await admin.SendAsync("PATCH", Backend, $$"""{"state":{{state}}}"""))
            .HasFaults("state must be one of ready, drain, maintenance");
    }

    [Fact]
    public async Task Wrong_tokens_are_logged_slowed_and_bounded_and_lock_nobody_out()
    {
        await using var admin = await AdminFixture.StartAsync(token: "s3cret");
        var started = Stopwatch.GetTimestamp();
        (await With("Bearer guess")).IsError(401);
        Assert.True(Stopwatch.GetElapsedTime(started) > TimeSpan.FromMilliseconds(400));
        Assert.Contains(admin.Log.Lines, static l => l.Contains("admin login from 127.0.0.1 failed: wrong token"));
        Assert.Equal(200, (await With("Bearer s3cret")).Status); // after a wrong one

        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => With($"Bearer guess{i}")));
        Assert.All(answers, static a => Assert.Contains(a.Status, new[] { 401, 429 }));
        Assert.Contains(answers, static a => a.Status == 429);
        Assert.Equal(200, (await With("Bearer s3cret")).Status);
        Assert.DoesNotContain(admin.Log.Lines, static l => l.Contains("guess"));
        Assert.Single(admin.Log.Lines, static l => l.Contains("admin login"));

        Task<Answer> With(string authorization) =>
            admin.SendAsync("GET", "/clients", headers: [("Authorization", authorization)]);
    }

    [Theory]
    [InlineData("/docs/index.html")]
    [InlineData("/clients")]
    [InlineData("/livez")]
    [InlineData("/nothing")]
    public async Task Nothing_may_be_shown_in_a_frame_of_another_site(string path)
    {
        await using var admin = await AdminFixture.StartAsync();
        using var http = new HttpClient { BaseAddress = admin.Host.AdminUrl };
        using var response = await http.GetAsync(path);
        Assert.Equal("frame-ancestors 'none'", Assert.Single(response.Headers.GetValues("Content-Security-Policy")));
        Assert.Equal("DENY", Assert.Single(response.Headers.GetValues("X-Frame-Options")));
    }
}
