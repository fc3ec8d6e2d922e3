using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>What tests of several nodes share: a backend, and nodes that end with the test.</summary>
public abstract class ClusterTest : IAsyncLifetime
{
    private protected ScriptedBackend Backend { get; } = ScriptedBackend.Always("ok");
    private protected List<Node> Nodes { get; } = [];

    public virtual ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (Node node in Nodes)
        {
            await node.DisposeAsync();
        }

        await Backend.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Registers a client at the first node and waits until all know it.</summary>
    private protected async Task RegisterAsync(string id, long capacity, double rate, double? tokens = null)
    {
        await Nodes[0].PutAsync(id, capacity, rate, tokens);
        foreach (Node node in Nodes)
        {
            await node.KnowsAsync(id, capacity);
        }
    }

    private protected Hammer HammerAll(string id) => Hammer.Start(id, [.. Nodes.Select(static node => node.EndPoint)]);
}
