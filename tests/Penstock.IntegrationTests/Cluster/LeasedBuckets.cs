using Penstock.Proxy.RateLimiting;

namespace Penstock.IntegrationTests.Cluster;

internal static class LeasedBuckets
{
    /// <summary>The node's part of a registered client's shared bucket.</summary>
    public static LeasedBucket LeasedBucketOf(this Limiter limiter, string clientId) =>
        (LeasedBucket)limiter.Clients.Find(clientId)!.Bucket;
}
