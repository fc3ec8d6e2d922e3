using Penstock.Proxy.Exchanges;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests;

internal static class ProxyAssertions
{
    /// <summary>Finished exchanges leave nothing behind: no buffer, no in-flight count, no logged bug.</summary>
    public static async Task AssertQuietAsync(this TestProxy proxy)
    {
        await Eventually.TrueAsync(() => proxy.Server.Workers.All(static w => w.Loop.Buffers.Rented == 0),
            "every buffer is returned");
        await Eventually.TrueAsync(() => proxy.Server.Upstreams().SelectMany(static u => u.Backends)
            .All(static b => b.InFlight == 0), "nothing is in flight");
        Assert.Empty(proxy.Log.Errors);
    }

    /// <summary>Bytes that the proxy's only loop thread has allocated so far.</summary>
    public static async Task<long> AllocatedOnLoopAsync(this TestProxy proxy)
    {
        Worker worker = Assert.Single(proxy.Server.Workers);
        var result = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        worker.Loop.Post(() => result.SetResult(GC.GetAllocatedBytesForCurrentThread()));
        return await result.Task;
    }

    /// <summary>Blocks the proxy's only loop until the result is disposed, so that all events of that time reach the
    /// loop at once.</summary>
    public static async Task<IDisposable> HoldLoopAsync(this TestProxy proxy)
    {
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var hold = new LoopHold();
        Assert.Single(proxy.Server.Workers).Loop.Post(() =>
        {
            held.SetResult();
            hold.Wait();
        });
        await held.Task;
        return hold;
    }

    private sealed class LoopHold : IDisposable
    {
        private readonly ManualResetEventSlim _released = new();

        public void Wait() => _released.Wait(TimeSpan.FromSeconds(10));

        public void Dispose() => _released.Set();
    }
}
