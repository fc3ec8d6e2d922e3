using System.Net;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>A client that sends many requests at once, on several connections to each of several nodes.</summary>
internal static class Burst
{
    /// <returns>How many got which status.</returns>
    public static async Task<Dictionary<int, int>> SendAsync(
        string client, int requests, int connections, params Node[] nodes)
    {
        int[] each =
            nodes.Select((_, i) => (requests / nodes.Length) + (i < requests % nodes.Length ? 1 : 0)).ToArray();
        var workers = new List<Task<List<int>>>();
        for (int i = 0; i < connections * nodes.Length; i++)
        {
            int node = i % nodes.Length;
            workers.Add(Task.Run(() => WorkAsync(client, nodes[node].EndPoint, () => TakeOne(each, node))));
        }
        List<int>[] statuses = await Task.WhenAll(workers);
        return statuses.SelectMany(static s => s).GroupBy(static s => s)
            .ToDictionary(static g => g.Key, static g => g.Count());
    }

    private static bool TakeOne(int[] left, int node) => Interlocked.Decrement(ref left[node]) >= 0;

    private static async Task<List<int>> WorkAsync(string client, EndPoint node, Func<bool> another)
    {
        var statuses = new List<int>();
        using var connection = new RawClient(node);
        while (another())
        {
            statuses.Add((await connection.GetAsync("/", $"X-Client-ID: {client}\r\n")).Status);
        }

        return statuses;
    }
}
