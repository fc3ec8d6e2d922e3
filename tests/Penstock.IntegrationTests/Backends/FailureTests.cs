using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>What clients see when backends misbehave, and what they must not see.</summary>
public sealed class FailureTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Kept_connection_is_closed_after_its_own_idle_timeout(bool ofUpstream)
    {
        var closed = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            Assert.Null(await peer.ReadRequestAsync());
            closed.SetResult();
        });
        ProxyConfig config = TestProxy.Config(backend.Port);
        var soon = TimeSpan.FromMilliseconds(100);
        await using var proxy = new TestProxy(config with
        {
            Upstreams = [config.Upstreams[0] with { BackendIdle = ofUpstream ? soon : null }],
            Timeouts = config.Timeouts with { BackendIdle = ofUpstream ? TimeSpan.FromHours(1) : soon },
        });
        using RawClient client = proxy.Connect();
        Assert.Equal("ok", (await client.GetAsync()).Text);
        await closed.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Connections_are_not_kept_where_backend_idle_is_off()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { BackendIdle = TimeSpan.Zero },
        });
        using RawClient client = proxy.Connect();
        for (int i = 1; i <= 3; i++)
        {
            Assert.Equal("ok", (await client.GetAsync()).Text);
            Assert.Equal(i, backend.Connections);
        }
    }

    [Fact]
    public async Task Refused_connection_goes_to_another_backend_unseen()
    {
        await using var alive = ScriptedBackend.Always("alive");
        await using var proxy = new TestProxy(TestProxy.Config(FreePort(), alive.Port, FreePort()));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal("alive", (await client.GetAsync()).Text);
            await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
            Assert.Equal("alive", (await client.ReadAsync())!.Text);
        }
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task No_backend_left_is_a_503_with_its_json()
    {
        await using var proxy = new TestProxy(TestProxy.Config(FreePort(), FreePort()));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 3; i++)
        {
            RawResponse response = await client.GetAsync();
            Assert.Equal(503, response.Status);
            Assert.Equal("application/json", response["Content-Type"]);
            Assert.Equal("1", response["Retry-After"]);
            Assert.StartsWith("{\"code\":503,\"message\":\"Service not available\"", response.Text);
        }
    }

    [Fact]
    public async Task Kept_connection_that_died_is_replaced_unseen()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal("ok", (await client.GetAsync()).Text);
            backend.ResetAll();
        }
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Get_whose_connection_dies_without_an_answer_is_sent_once_more_at_most()
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadRequestAsync();
            peer.Reset();
        });
        await using var other = ScriptedBackend.Always("other");
        await using (var proxy = TestProxy.To(backend, other))
        {
            Assert.Equal("other", (await proxy.GetAsync()).Text);
        }
        await using (var proxy = TestProxy.To(backend))
        {
            int before = backend.Heads.Count;
            RawResponse response = await proxy.GetAsync();
            Assert.Equal(502, response.Status);
            Assert.InRange(backend.Heads.Count - before, 1, 2);
        }
    }

    [Fact]
    public async Task Post_whose_connection_dies_is_delivered_once()
    {
        bool killing = false;
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                if (killing)
                {
                    peer.Reset();
                    return;
                }
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        await using var other = ScriptedBackend.Always("other");
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port, backend.Port, backend.Port));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("ok", (await client.GetAsync()).Text); // connections to be reused
        }
        killing = true;
        int before = backend.Heads.Count;
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        RawResponse response = (await client.ReadAsync())!;
        Assert.Equal(502, response.Status);
        Assert.StartsWith("{\"code\":502,\"message\":\"Bad gateway\"", response.Text);
        Assert.Equal(1, backend.Heads.Count - before);
    }

    [Fact]
    public async Task Silent_backend_is_a_504_after_the_response_timeout()
    {
        await using var backend = new ScriptedBackend(static async peer => await peer.Reader.ReadToEndAsync());
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Response = TimeSpan.FromMilliseconds(200) },
        });
        var watch = Stopwatch.StartNew();
        RawResponse response = await proxy.GetAsync();
        Assert.Equal(504, response.Status);
        Assert.StartsWith("{\"code\":504,\"message\":\"Gateway timeout\"", response.Text);
        Assert.True(watch.ElapsedMilliseconds >= 190);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Backend_that_accepts_no_connection_costs_the_connect_timeout_only()
    {
        using FullListener full = await FullListener.StartAsync();
        await using var alive = ScriptedBackend.Always("alive");
        ProxyConfig config = TestProxy.Config(full.Port, alive.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Connect = TimeSpan.FromMilliseconds(150) },
        });
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal("alive", (await proxy.GetAsync()).Text);
        }
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    public async Task Response_that_is_cut_is_never_taken_for_whole(string bytes)
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync(bytes);
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await Assert.ThrowsAnyAsync<IOException>(async () => await client.ReadAsync());
        await proxy.AssertQuietAsync();
    }

    [Theory]
    [InlineData("nonsense\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\nContent-Length: 2\n\nab")]
    [InlineData("HTTP/1.1 200 OK\r\nBad Name: 2\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX : 2\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX: 2\r\n folded\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n")]
    [InlineData("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")]
    public async Task Response_that_is_malformed_is_a_502_and_its_connection_is_not_used_again(string bytes)
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                await peer.SendAsync(bytes);
            }
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        for (int i = 1; i <= 2; i++)
        {
            Assert.Equal(502, (await client.GetAsync()).Status);
            Assert.Equal(i, backend.Connections);
        }
    }

    [Fact]
    public async Task Bytes_behind_a_response_never_reach_another_client()
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
                    + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            }
        });
        await using var proxy = TestProxy.To(backend);
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal("good", (await proxy.GetAsync()).Text);
        }
        Assert.Equal(10, backend.Connections);
    }

    [Fact]
    public async Task Client_that_resets_frees_the_backend()
    {
        var gone = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.Reader.ReadToEndAsync();
            gone.SetResult();
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "the backend has the request");
        client.Reset();
        await gone.Task.WaitAsync(TimeSpan.FromSeconds(3));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Client_that_cuts_its_upload_is_not_taken_for_whole()
    {
        bool whole = false;
        var done = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            try
            {
                await peer.ReadRequestAsync();
                whole = true;
            }
            finally
            {
                done.SetResult();
            }
        });
        await using var proxy = TestProxy.To(backend);
        using (RawClient client = proxy.Connect())
        {
            await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            await Eventually.TrueAsync(() => backend.Heads.Count == 1, "the backend has the head");
        }
        await done.Task.WaitAsync(TimeSpan.FromSeconds(3));
        Assert.False(whole);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Head_that_drips_is_a_408_after_the_head_timeout()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Head = TimeSpan.FromMilliseconds(200) },
        });
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHo");
        RawResponse response = (await client.ReadAsync())!;
        Assert.Equal(408, response.Status);
        Assert.Equal("close", response["Connection"]);
        Assert.True(await client.IsEndedAsync());
    }

    [Fact]
    public async Task Idle_connections_on_both_sides_end_after_the_idle_timeout()
    {
        var closed = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            await peer.Reader.ReadToEndAsync();
            closed.SetResult();
        });
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with
            {
                Idle = TimeSpan.FromMilliseconds(200), BackendIdle = TimeSpan.FromMilliseconds(200),
            },
        });
        using RawClient client = proxy.Connect();
        Assert.Equal(200, (await client.GetAsync()).Status);
        Assert.True(await client.IsEndedAsync());
        await closed.Task.WaitAsync(TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task Bad_request_says_why_and_closes()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        RawResponse response = (await client.ReadAsync())!;
        Assert.Equal(400, response.Status);
        Assert.Equal("close", response["Connection"]);
        Assert.Contains("\"fault\":\"host_repeated\"", response.Text);
        Assert.True(await client.IsEndedAsync());
        Assert.Empty(backend.Heads);
    }

    /// <summary>A port on which no process listens.</summary>
    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
